//! Compose files as people have them: read whole, and what matters of each stated.
use super::fixture::Fixture;
use crate::model::service::{
    Condition, MountSource, NetworkMode, Project, PublishedPort, Restart, Service,
};

#[test]
fn a_shop_with_web_worker_database_and_cache() {
    let project = read(
        r#"
version: "3.8"
x-app: &app
  image: registry.example.com/shop/app:${CHANNEL}
  restart: unless-stopped
  environment: &app-env
    DATABASE_URL: postgres://shop:${PASSWORD}@db:5432/shop
    REDIS_URL: redis://cache:6379/0
    REGION: ${SITE}
  depends_on:
    db: { condition: service_healthy }
    cache: { condition: service_started }
  logging: &logging
    driver: json-file
    options: { max-size: "10m", max-file: "3" }
services:
  web:
    <<: *app
    command: ["gunicorn", "-b", "0.0.0.0:8000", "shop.wsgi"]
    environment:
      <<: *app-env
      WORKERS: 4
    ports:
      - "80:8000"
    healthcheck:
      test: ["CMD", "curl", "-fsS", "http://localhost:8000/healthz"]
      interval: 10s
      timeout: 3s
      retries: 5
      start_period: 20s
  worker:
    <<: *app
    command: celery -A shop worker --concurrency=${N}
    deploy:
      replicas: 2
      resources:
        limits: { cpus: "0.50", memory: 512M }
  db:
    image: postgres:16-alpine
    volumes: ["pgdata:/var/lib/postgresql/data"]
    environment:
      - POSTGRES_USER=shop
      - POSTGRES_PASSWORD=${PASSWORD}
    healthcheck:
      test: ["CMD-SHELL", "pg_isready -U shop"]
      interval: 5s
    logging: *logging
    x-cleanslate: { recreate: keep }
  cache:
    image: redis:7
    command: redis-server --save "" --appendonly no
    tmpfs: /data
volumes:
  pgdata:
"#,
    );
    assert_eq!(names(&project), ["db", "cache", "web", "worker"]);
    let web = service(&project, "web");
    assert!(web.follows_channel);
    assert_eq!(
        web.image.to_string(),
        "registry.example.com/shop/app:master"
    );
    assert_eq!(
        secret(web, "DATABASE_URL"),
        "postgres://shop:hunter2@db:5432/shop"
    );
    assert_eq!(secret(web, "WORKERS"), "4");
    assert_eq!(
        web.container.ports[0].published,
        Some(PublishedPort::Fixed(80))
    );
    let worker = service(&project, "worker");
    assert_eq!(worker.replicas, 2);
    assert_eq!(
        worker.container.command.as_ref().unwrap()[4],
        "--concurrency=2"
    );
    assert_eq!(worker.container.limits.nano_cpus, Some(500_000_000));
    assert!(!worker.container.environment.contains_key("WORKERS"));
    let db = service(&project, "db");
    assert!(db.is_kept() && !db.follows_channel);
    assert_eq!(
        service(&project, "cache")
            .container
            .command
            .as_ref()
            .unwrap()[1..3],
        ["--save", ""]
    );
    assert_eq!(project.volumes["pgdata"].name, "edge_pgdata");
}

#[test]
fn a_reverse_proxy_with_the_docker_socket() {
    let project = read(
        r#"
name: edge-proxy
services:
  traefik:
    image: traefik:v3.1
    container_name: traefik
    command:
      - --providers.docker=true
      - --entrypoints.web.address=:80
    ports:
      - { target: 80, published: "80", protocol: tcp, mode: host }
      - 443:443
      - 443:443/udp
    volumes:
      - /var/run/docker.sock:/var/run/docker.sock:ro
      - type: volume
        source: letsencrypt
        target: /letsencrypt
    labels:
      - "traefik.http.routers.api.rule=Host(`traefik.${SITE}.example.com`)"
    security_opt: ["no-new-privileges:true"]
    restart: always
volumes:
  letsencrypt: { external: true, name: acme }
"#,
    );
    assert_eq!(project.name.as_str(), "edge-proxy");
    let traefik = &project.services[0];
    assert_eq!(traefik.container_name(&project.name, 1), "traefik");
    assert_eq!(traefik.container.ports.len(), 3);
    assert_eq!(
        traefik.container.labels["traefik.http.routers.api.rule"],
        "Host(`traefik.fra.example.com`)"
    );
    assert!(project.volumes["letsencrypt"].is_external);
}

#[test]
fn wordpress_with_secrets_from_files() {
    let fixture = Fixture::new().with_file("db_password.txt", "s3cret\n");
    let project = fixture.project(
        r#"
services:
  db:
    image: mariadb:11
    command: '--default-authentication-plugin=mysql_native_password'
    volumes:
      - db_data:/var/lib/mysql
    restart: always
    environment:
      MARIADB_DATABASE: wordpress
      MARIADB_PASSWORD_FILE: /run/secrets/db_password
    secrets: [db_password]
    expose:
      - 3306
      - "33060"
  wordpress:
    image: wordpress:latest
    depends_on: [db]
    ports: ["${PORT:-80}:80"]
    environment:
      WORDPRESS_DB_HOST: db
      WORDPRESS_DB_PASSWORD_FILE: /run/secrets/db_password
    secrets:
      - source: db_password
        uid: "33"
        gid: "33"
        mode: 0400
volumes:
  db_data:
secrets:
  db_password:
    file: db_password.txt
"#,
    );
    let file = &service(&project, "wordpress").container.files[0];
    assert_eq!(
        (file.target.as_str(), file.mode, file.uid),
        ("/run/secrets/db_password", 0o400, 33)
    );
    assert_eq!(file.content.reveal(), b"s3cret\n");
    assert!(!format!("{project:?}").contains("s3cret"));
}

#[test]
fn nginx_with_its_configuration_copied_in() {
    let fixture = Fixture::new().with_file("nginx.conf", "events {}\n");
    let project = fixture.project(
        r#"
services:
  nginx:
    image: nginx:1.27-alpine
    read_only: true
    tmpfs:
      - /var/cache/nginx
      - /var/run:mode=755,size=1m
    configs:
      - source: nginx_conf
        target: /etc/nginx/nginx.conf
      - index
    cap_drop: [ALL]
    cap_add: [CHOWN, SETUID, SETGID, NET_BIND_SERVICE]
    stop_signal: SIGQUIT
    stop_grace_period: 30s
    ulimits:
      nproc: 65535
      nofile: { soft: 20000, hard: 40000 }
    sysctls:
      net.core.somaxconn: 1024
configs:
  nginx_conf:
    file: ./nginx.conf
  index:
    content: |
      site ${SITE}, host ${HOST}, price $$5
"#,
    );
    let nginx = &project.services[0].container;
    assert_eq!(nginx.files[0].target, "/etc/nginx/nginx.conf");
    assert_eq!(
        nginx.files[1].content.reveal_text(),
        "site fra, host fra1, price $5\n"
    );
    assert_eq!(nginx.ulimits["nofile"].hard, 40000);
    assert_eq!(nginx.sysctls["net.core.somaxconn"], "1024");
}

#[test]
fn prometheus_and_its_exporters_on_the_network_of_the_host() {
    let project = read(
        r#"
services:
  node-exporter:
    image: quay.io/prometheus/node-exporter:latest
    command: ['--path.rootfs=/host']
    network_mode: host
    pid: host
    restart: unless-stopped
    volumes: ['/:/host:ro,rslave']
  prometheus:
    image: prom/prometheus:v2.53.0
    user: "65534:65534"
    volumes: [prom:/prometheus]
    extra_hosts: ["host.docker.internal:host-gateway"]
    command:
      - '--config.file=/etc/prometheus/prometheus.yml'
      - '--storage.tsdb.retention.time=15d'
  cadvisor:
    image: gcr.io/cadvisor/cadvisor:v0.47.2
    privileged: true
    devices: [/dev/kmsg]
    volumes:
      - /sys:/sys:ro
      - { type: bind, source: /var/lib/docker, target: /var/lib/docker, read_only: true }
volumes:
  prom: { driver: local, driver_opts: { type: nfs, o: "addr=10.0.0.9,rw", device: ":/export" } }
"#,
    );
    let exporter = service(&project, "node-exporter");
    assert_eq!(exporter.container.network_mode, NetworkMode::Host);
    assert!(exporter.container.networks.is_empty());
    assert_eq!(
        exporter.container.mounts[0].source,
        MountSource::Bind {
            path: "/".to_owned(),
            propagation: Some("rslave".to_owned()),
            create_host_path: true,
            selinux: None,
        }
    );
    assert_eq!(
        service(&project, "cadvisor").container.devices[0].permissions,
        "rwm"
    );
    assert_eq!(project.volumes["prom"].driver_opts["device"], ":/export");
}

#[test]
fn migrations_that_run_once_before_the_service() {
    let project = read(
        r#"
x-common:
  db: &db
    POSTGRES_HOST: db
  wait: &wait { condition: service_completed_successfully }
services:
  api:
    image: "registry.example.com/api:${CHANNEL:-master}"
    environment: *db
    depends_on: { migrate: *wait }
  migrate:
    image: "registry.example.com/api:${CHANNEL:-master}"
    command: [alembic, upgrade, head]
    environment: { <<: *db, ROLE: migrate }
    restart: "no"
    depends_on: { db: { condition: service_healthy, restart: true } }
  db:
    image: postgres:16
    healthcheck: { test: pg_isready, interval: 2s, retries: 30 }
"#,
    );
    assert_eq!(names(&project), ["db", "migrate", "api"]);
    let api = service(&project, "api");
    let migrate = "migrate".parse().unwrap();
    assert_eq!(
        api.depends_on[&migrate].condition,
        Condition::CompletedSuccessfully
    );
    assert!(api.follows_channel);
    assert_eq!(service(&project, "migrate").container.restart, Restart::No);
}

#[test]
fn a_vpn_whose_network_others_live_in() {
    let project = read(
        r#"
services:
  torrent:
    image: lscr.io/linuxserver/qbittorrent:latest
    network_mode: service:vpn
    environment: [PUID=1000, PGID=1000, TZ=Europe/Berlin, UMASK=022]
    volumes: [/srv/downloads:/downloads]
  vpn:
    image: qmcgaw/gluetun
    cap_add: [NET_ADMIN]
    devices: ["/dev/net/tun:/dev/net/tun"]
    ports: ["8080:8080", "6881:6881", "6881:6881/udp"]
    environment: { VPN_TYPE: wireguard, WIREGUARD_PRIVATE_KEY: "${PASSWORD:?key}" }
"#,
    );
    assert_eq!(names(&project), ["vpn", "torrent"]);
    let torrent = service(&project, "torrent");
    let vpn = "vpn".parse().unwrap();
    assert_eq!(torrent.container.network_mode, NetworkMode::Service(vpn));
    assert_eq!(secret(torrent, "UMASK"), "022");
}

#[test]
fn an_elasticsearch_with_limits() {
    let project = read(
        r#"
services:
  es01:
    image: docker.elastic.co/elasticsearch/elasticsearch:8.14.3
    environment:
      - node.name=es01
      - discovery.type=single-node
      - "ES_JAVA_OPTS=-Xms512m -Xmx512m"
      - ELASTIC_PASSWORD=${PASSWORD}
    ulimits:
      memlock: { soft: -1, hard: -1 }
    shm_size: 1gb
    volumes: ["esdata01:/usr/share/elasticsearch/data"]
    networks:
      elastic: { aliases: [search] }
    healthcheck:
      test:
        - CMD-SHELL
        - curl -s http://localhost:9200 | grep -q 'missing authentication credentials'
      interval: 10s
      retries: 120
    deploy: { resources: { limits: { memory: 1073741824, pids: 4096 } } }
networks:
  elastic:
    driver: bridge
volumes:
  esdata01: { driver: local }
"#,
    );
    let es = &project.services[0];
    assert_eq!(es.container.limits.memory, Some(1 << 30));
    assert_eq!(es.container.shm_size, Some(1 << 30));
    assert_eq!(es.container.ulimits["memlock"].soft, -1);
    assert_eq!(es.container.networks[0].aliases, ["search"]);
    assert_eq!(project.networks.keys().collect::<Vec<_>>(), ["elastic"]);
}

#[test]
fn an_internal_network_with_fixed_addresses() {
    let project = read(
        r#"
services:
  dns:
    image: coredns/coredns:1.11.1
    hostname: dns.${SITE}.internal
    networks:
      lan:
        ipv4_address: 172.28.1.53
        ipv6_address: 2001:db8:1::53
    ports:
      - "192.0.2.10:53:53/udp"
      - "192.0.2.10:53:53/tcp"
      - "[2001:db8::10]:53:53/udp"
networks:
  lan:
    internal: true
    enable_ipv6: true
    ipam:
      config:
        - subnet: 172.28.0.0/16
          gateway: 172.28.0.1
        - subnet: 2001:db8:1::/64
"#,
    );
    let dns = &project.services[0].container;
    assert_eq!(dns.hostname.as_deref(), Some("dns.fra.internal"));
    assert_eq!(dns.ports[2].host_ip, Some("2001:db8::10".parse().unwrap()));
    assert_eq!(project.networks["lan"].ipam.len(), 2);
    assert!(project.networks["lan"].is_internal);
}

#[test]
fn a_service_configured_by_env_files() {
    let fixture = Fixture::new()
        .with_file("common.env", "# shared\nLOG_LEVEL=info\nexport TZ='UTC'\n")
        .with_file(
            "site.env",
            "LOG_LEVEL=debug # noisy\nENDPOINT=https://${SITE}.example.com\n",
        );
    let project = fixture.project(
        r#"
services:
  app:
    image: app:1
    env_file:
      - common.env
      - path: ./site.env
      - path: local.env
        required: false
    environment:
      TZ: ${TZ:-Europe/Berlin}
"#,
    );
    let app = &project.services[0];
    assert_eq!(secret(app, "LOG_LEVEL"), "debug");
    assert_eq!(secret(app, "ENDPOINT"), "https://fra.example.com");
    assert_eq!(secret(app, "TZ"), "Europe/Berlin");
}

#[test]
fn a_file_as_docker_compose_config_prints_it() {
    let project = read(
        r#"
name: shop
services:
  web:
    command: null
    depends_on:
      db:
        condition: service_started
        required: true
    deploy:
      replicas: 1
      resources:
        limits:
          cpus: 0.5
          memory: "67108864"
    entrypoint: null
    environment:
      DEBUG: "false"
    healthcheck:
      test:
        - CMD
        - "true"
      timeout: 1m30s
    image: nginx
    networks:
      default: null
    ports:
      - mode: ingress
        target: 80
        published: "8080"
        protocol: tcp
    volumes:
      - type: bind
        source: /srv
        target: /srv
        bind:
          create_host_path: true
      - type: volume
        source: data
        target: /data
        volume: {}
  db:
    image: postgres
    networks:
      default: null
networks:
  default:
    name: shop_default
volumes:
  data:
    name: shop_data
"#,
    );
    assert_eq!(names(&project), ["db", "web"]);
    assert_eq!(project.networks["default"].name, "shop_default");
    assert_eq!(
        service(&project, "web").container.limits.memory,
        Some(64 << 20)
    );
}

#[test]
fn what_a_laptop_file_needs_before_it_can_run_on_a_site() {
    let errors = Fixture::new().errors(
        r#"
version: "3"
services:
  app:
    build:
      context: .
      dockerfile: Dockerfile.dev
    volumes:
      - .:/usr/src/app
      - ./config/app.toml:/etc/app.toml:ro
      - node_modules:/usr/src/app/node_modules
    ports:
      - "3000:3000"
    env_file: .env
    links: [mongo]
    stdin_open: true
    tty: true
    mem_limit: 512m
  mongo:
    image: mongo:${MONGO_VERSION}
    volumes: [mongo-data:/data/db]
    profiles: [debug]
volumes:
  mongodata:
"#,
    );
    insta::assert_snapshot!(errors, @r#"
    5:5 "build" is a key of Compose that is not carried out here
        = build the image elsewhere, push it to a registry and name it with `image`
    9:9 "." is a path on this machine, the container runs on another
        = name an absolute path of the host; single files are copied in as `configs`
    10:9 "./config/app.toml" is a path on this machine, the container runs on another
        = name an absolute path of the host, or copy the file in:
          configs:
            config_app_toml: { file: ./config/app.toml }
          services:
            app:
              configs: [{ source: config_app_toml, target: /etc/app.toml }]
    11:9 the volume "node_modules" is not declared
        = declare it under the top-level `volumes`: `node_modules: {}`
    14:15 cannot read "DIR/.env": there is no such file
    "#);
}

fn read(source: &str) -> Project {
    let project = Fixture::new().project(source);
    assert!(!format!("{project:?}").contains("hunter2"));
    project
}

fn names(project: &Project) -> Vec<&str> {
    project
        .services
        .iter()
        .map(|service| service.name.as_str())
        .collect()
}

fn service<'p>(project: &'p Project, name: &str) -> &'p Service {
    project.service(&name.parse().unwrap()).unwrap()
}

fn secret(service: &Service, key: &str) -> String {
    service.container.environment[key]
        .as_ref()
        .unwrap()
        .reveal_text()
}
