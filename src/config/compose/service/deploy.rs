//! `deploy`: scale, bounds, reserved devices, restarts.
use super::devices::read_reserved;
use super::limits::read_deploy_limits;
use crate::config::compose::document::reader::{Reader, Value};
use crate::config::compose::not_carried;
use crate::config::compose::text::quantity;
use crate::model::service::{DeviceRequest, Limits, Restart};

/// What `deploy` says of a service.
#[derive(Default)]
pub(crate) struct Deploy {
    pub(crate) replicas: Option<u32>,
    pub(crate) limits: Limits,
    pub(crate) devices: Vec<DeviceRequest>,
    /// Where `restart` says nothing.
    pub(crate) restart: Option<Restart>,
}

pub(crate) fn read_deploy(reader: &mut Reader<'_>, value: Value<'_>) -> Deploy {
    let mut deploy = Deploy::default();
    let mut fields = reader.fields(value);
    if let Some(replicas) = fields.take_given("replicas") {
        deploy.replicas = reader.parsed(replicas, REPLICAS, |text| text.parse().ok());
    }
    // On one host a replicated service is the only kind there is.
    if let Some(mode) = fields.take_given("mode") {
        reader.word(mode, &[("replicated", ())]);
    }
    if let Some(resources) = fields.take_given("resources") {
        let mut fields = reader.fields(resources);
        if let Some(limits) = fields.take_given("limits") {
            read_deploy_limits(reader, limits, &mut deploy.limits);
        }
        if let Some(reservations) = fields.take_given("reservations") {
            read_reservations(reader, reservations, &mut deploy);
        }
        fields.finish(reader, &[]);
    }
    deploy.restart = fields
        .take_given("restart_policy")
        .and_then(|value| read_restart_policy(reader, value));
    fields.finish(reader, not_carried::DEPLOY);
    deploy
}

/// How many containers, for error texts.
pub(crate) const REPLICAS: &str = "a number of containers";

fn read_reservations(reader: &mut Reader<'_>, value: Value<'_>, deploy: &mut Deploy) {
    let mut fields = reader.fields(value);
    deploy.limits.memory_reservation =
        fields.parsed(reader, "memory", quantity::BYTES, quantity::bytes);
    if let Some(devices) = fields.take_given("devices") {
        deploy.devices = read_reserved(reader, devices);
    }
    fields.finish(reader, not_carried::RESERVATIONS);
}

fn read_restart_policy(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Restart> {
    let mut fields = reader.fields(value);
    let condition = fields.take_given("condition");
    let words = [
        ("none", Restart::No),
        ("on-failure", Restart::OnFailure(0)),
        ("any", Restart::Always),
    ];
    let condition = condition.map_or(Some(Restart::Always), |value| reader.word(value, &words));
    let most = fields.parsed(reader, "max_attempts", "a number of tries", |text| {
        text.parse().ok()
    });
    fields.finish(reader, not_carried::RESTART_POLICY);
    match (condition?, most) {
        (Restart::OnFailure(_), Some(most)) => Some(Restart::OnFailure(most)),
        (other, _) => Some(other),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::compose::fixture::{errors, service};
    use crate::model::service::Restart;

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
                cpu_shares: None,
                cpu_period: None,
                cpu_quota: None,
                cpu_rt_period: None,
                cpu_rt_runtime: None,
                cpuset: None,
                memory: Some(
                    67108864,
                ),
                memory_reservation: None,
                memory_swap: None,
                memory_swappiness: None,
                oom_kill_disable: None,
                oom_score_adj: None,
                pids: Some(
                    100,
                ),
                blkio: Blkio {
                    weight: None,
                    weight_device: [],
                    read_bps: [],
                    write_bps: [],
                    read_iops: [],
                    write_iops: [],
                },
            },
        )
        ");
        let restart = |policy: &str| {
            let keys = format!("deploy: {{ restart_policy: {policy} }}");
            service(&keys).container.restart
        };
        assert_eq!(restart("{ condition: none }"), Restart::No);
        assert_eq!(restart("{}"), Restart::Always);
        let tries = "{ condition: on-failure, max_attempts: 3 }";
        assert_eq!(restart(tries), Restart::OnFailure(3));
        assert_eq!(service("deploy: { replicas: 0 }").replicas, 0);
        assert_eq!(service("init: true").replicas, 1);
    }

    #[test]
    fn what_is_not_carried_out_is_refused_with_the_cure() {
        insta::assert_snapshot!(
            errors(
                "deploy:\n  replica: 2\n  replicas: -1\n  update_config: {}\n  mode: global\n  \
                 resources: { limits: { cpus: lots, memory: 1x }, reservations: { cpus: 1 } }\n  restart_policy: { condition: sometimes, window: 1s }"
            ),
            @r#"
            5:7 unknown key "replica"
                = did you mean "replicas"?
            6:17 "replicas" must be a number of containers, not "-1"
            7:7 "update_config" is a key of Compose that is not carried out here
                = the playbook says how a rotation goes
            8:13 "mode" must be replicated, not "global"
            9:36 "cpus" must be a number of processors such as "0.5", not "lots"
            9:50 "memory" must be a size such as "64m" or "1gb", not "1x"
            9:72 "cpus" is a key of Compose that is not carried out here
                = use `cpu_shares`
            10:36 "condition" must be none or on-failure or any, not "sometimes"
            10:47 "window" is a key of Compose that is not carried out here
                = remove it: it is of Swarm, and an engine alone has no use for it
            "#
        );
    }
}
