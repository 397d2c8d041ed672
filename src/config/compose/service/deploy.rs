//! `deploy`: scale and limits.
use crate::config::compose::document::reader::{Reader, Value};
use crate::config::compose::text::quantity;
use crate::model::service::Limits;

/// What `deploy` says of a service.
pub(crate) struct Deploy {
    pub(crate) replicas: u32,
    pub(crate) limits: Limits,
}

impl Default for Deploy {
    fn default() -> Deploy {
        Deploy {
            replicas: 1,
            limits: Limits::default(),
        }
    }
}

pub(crate) fn read_deploy(reader: &mut Reader<'_>, value: Value<'_>) -> Deploy {
    let mut deploy = Deploy::default();
    let mut fields = reader.fields(value);
    if let Some(replicas) = fields.take_given("replicas") {
        let read = reader.parsed(replicas, "a number of containers", |text| text.parse().ok());
        deploy.replicas = read.unwrap_or(1);
    }
    if let Some(resources) = fields.take_given("resources") {
        let mut fields = reader.fields(resources);
        if let Some(limits) = fields.take_given("limits") {
            deploy.limits = read_limits(reader, limits);
        }
        fields.finish(reader, &[("reservations", "")]);
    }
    let not_carried = [
        ("endpoint_mode", ""),
        ("labels", "`labels` of the service label its containers"),
        ("mode", ""),
        (
            "placement",
            "`projects` of a host in site.toml says what it runs",
        ),
        ("restart_policy", "use `restart` of the service"),
        ("rollback_config", "the playbook says how a rotation goes"),
        ("update_config", "the playbook says how a rotation goes"),
    ];
    fields.finish(reader, &not_carried);
    deploy
}

fn read_limits(reader: &mut Reader<'_>, value: Value<'_>) -> Limits {
    let mut fields = reader.fields(value);
    let limits = Limits {
        nano_cpus: fields.parsed(reader, "cpus", quantity::CPUS, quantity::nano_cpus),
        memory: fields.parsed(reader, "memory", quantity::BYTES, quantity::bytes),
        pids: fields.take_given("pids").and_then(|value| {
            reader.parsed(value, "a number of processes", |text| text.parse().ok())
        }),
    };
    fields.finish(reader, &[]);
    limits
}

#[cfg(test)]
mod tests {
    use crate::config::compose::fixture::{errors, service};

    #[test]
    fn scale_and_limits_are_read() {
        let web = service(
            "deploy: { replicas: \"${N}\", resources: { limits: { cpus: \"0.5\", memory: 64M, pids: 100 } } }",
        );
        insta::assert_debug_snapshot!((web.replicas, web.container.limits), @r"
        (
            2,
            Limits {
                nano_cpus: Some(
                    500000000,
                ),
                memory: Some(
                    67108864,
                ),
                pids: Some(
                    100,
                ),
            },
        )
        ");
        assert_eq!(service("deploy: { replicas: 0 }").replicas, 0);
        assert_eq!(service("init: true").replicas, 1);
    }

    #[test]
    fn what_is_not_carried_out_is_refused_with_the_cure() {
        insta::assert_snapshot!(
            errors(
                "deploy:\n  replica: 2\n  replicas: -1\n  update_config: {}\n  \
                 resources: { limits: { cpus: lots, memory: 1x }, reservations: {} }\n\
                 mem_limit: 1g\nscale: 2"
            ),
            @r#"
        5:7 unknown key "replica"
            = did you mean "replicas"?
        6:17 "replicas" must be a number of containers, not "-1"
        7:7 "update_config" is a key of Compose that is not carried out here
            = the playbook says how a rotation goes
        8:36 "cpus" must be a number of processors such as "0.5", not "lots"
        8:50 "memory" must be a size such as "64m" or "1gb", not "1x"
        8:56 "reservations" is a key of Compose that is not carried out here
            = remove it
        9:5 "mem_limit" is a key of Compose that is not carried out here
            = use `deploy.resources.limits.memory`
        10:5 "scale" is a key of Compose that is not carried out here
            = use `deploy.replicas`
        "#
        );
    }
}
