//! How much of the host a container may use: keys of the service, and of `deploy.resources`.
use super::blkio::read_blkio;
use crate::config::compose::document::fields::Fields;
use crate::config::compose::document::reader::{Reader, Value};
use crate::config::compose::not_carried;
use crate::config::compose::text::quantity;
use crate::model::service::Limits;

/// `deploy.resources.limits`.
pub(crate) fn read_deploy_limits(reader: &mut Reader<'_>, value: Value<'_>, limits: &mut Limits) {
    let mut fields = reader.fields(value);
    limits.nano_cpus = fields.parsed(reader, "cpus", quantity::CPUS, quantity::nano_cpus);
    limits.memory = fields.parsed(reader, "memory", quantity::BYTES, quantity::bytes);
    limits.pids = fields.parsed(reader, "pids", PROCESSES, processes);
    fields.finish(reader, not_carried::LIMITS);
}

/// The service's own keys, beside what `deploy` said: the two may not contradict each other.
pub(crate) fn read_limits(reader: &mut Reader<'_>, fields: &mut Fields<'_>, limits: &mut Limits) {
    let mut both = Both { reader, fields };
    limits.nano_cpus = both.read(
        "cpus",
        "deploy.resources.limits.cpus",
        limits.nano_cpus,
        |reader, value| reader.parsed(value, quantity::CPUS, quantity::nano_cpus),
    );
    limits.memory = both.read(
        "mem_limit",
        "deploy.resources.limits.memory",
        limits.memory,
        |reader, value| reader.parsed(value, quantity::BYTES, quantity::bytes),
    );
    limits.memory_reservation = both.read(
        "mem_reservation",
        "deploy.resources.reservations.memory",
        limits.memory_reservation,
        |reader, value| reader.parsed(value, quantity::BYTES, quantity::bytes),
    );
    limits.pids = both.read(
        "pids_limit",
        "deploy.resources.limits.pids",
        limits.pids,
        |reader, value| reader.parsed(value, PROCESSES, processes),
    );
    read_processors(reader, fields, limits);
    read_memory(reader, fields, limits);
    if let Some(value) = fields.take_given("blkio_config") {
        limits.blkio = read_blkio(reader, value);
    }
}

fn read_processors(reader: &mut Reader<'_>, fields: &mut Fields<'_>, limits: &mut Limits) {
    limits.cpu_shares = fields.parsed(reader, "cpu_shares", "a number such as 512", |text| {
        text.parse().ok()
    });
    let period = fields.parsed(reader, "cpu_period", MICROSECONDS, microseconds);
    limits.cpu_period = period.and_then(|period| u64::try_from(period).ok());
    limits.cpu_quota = fields.parsed(reader, "cpu_quota", MICROSECONDS, microseconds);
    let mut positive = |key| {
        let read = fields.parsed(reader, key, MICROSECONDS, microseconds);
        read.and_then(|microseconds| u64::try_from(microseconds).ok())
    };
    limits.cpu_rt_period = positive("cpu_rt_period");
    limits.cpu_rt_runtime = positive("cpu_rt_runtime");
    limits.cpuset = fields.parsed(
        reader,
        "cpuset",
        "processors such as \"0-3\" or \"0,1\"",
        cpuset,
    );
}

fn read_memory(reader: &mut Reader<'_>, fields: &mut Fields<'_>, limits: &mut Limits) {
    limits.memory_swap = fields.parsed(
        reader,
        "memswap_limit",
        "a size such as \"2g\", or -1",
        |text| match text {
            "-1" => Some(-1),
            _ => quantity::bytes(text).and_then(|bytes| i64::try_from(bytes).ok()),
        },
    );
    limits.memory_swappiness =
        fields.parsed(reader, "mem_swappiness", "a number from 0 to 100", |text| {
            text.parse().ok().filter(|percent| *percent <= 100)
        });
    limits.oom_kill_disable = fields.flag(reader, "oom_kill_disable");
    limits.oom_score_adj = fields.parsed(
        reader,
        "oom_score_adj",
        "a number from -1000 to 1000",
        |text| {
            text.parse()
                .ok()
                .filter(|score| (-1000..=1000).contains(score))
        },
    );
}

/// Keys that `deploy` has, too.
struct Both<'b, 'r, 'n> {
    reader: &'b mut Reader<'r>,
    fields: &'b mut Fields<'n>,
}

impl<'n> Both<'_, '_, 'n> {
    /// The value of either; two that differ are refused, as in Compose.
    fn read<T: Copy + PartialEq>(
        &mut self,
        key: &'static str,
        other_key: &str,
        other: Option<T>,
        read: impl FnOnce(&mut Reader<'_>, Value<'n>) -> Option<T>,
    ) -> Option<T> {
        let Some(value) = self.fields.take_given(key) else {
            return other;
        };
        let read = read(self.reader, value);
        if let (Some(own), Some(other)) = (read, other)
            && own != other
        {
            let message = format!("{key:?} and `{other_key}` say different things");
            self.reader
                .error_with_hint(&value.node.span, message, "leave one of them out");
        }
        read.or(other)
    }
}

const PROCESSES: &str = "a number of processes, or -1 for no bound";
const MICROSECONDS: &str = "a duration such as \"50ms\", or a number of microseconds";

fn processes(text: &str) -> Option<i64> {
    text.parse().ok().filter(|number| *number >= -1)
}

fn microseconds(text: &str) -> Option<i64> {
    if let Ok(number) = text.parse::<i64>() {
        return (number >= -1).then_some(number);
    }
    let duration = quantity::duration(text)?;
    i64::try_from(duration.as_micros()).ok()
}

fn cpuset(text: &str) -> Option<String> {
    let is_processor = |part: &str| part.parse::<u16>().is_ok();
    let is_range = |part: &str| match part.split_once('-') {
        None => is_processor(part),
        Some((first, last)) => is_processor(first) && is_processor(last),
    };
    text.split(',').all(is_range).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use crate::config::compose::fixture::{assert_same, errors, service};

    #[test]
    fn the_service_and_deploy_say_the_same_in_their_own_words() {
        assert_same(
            "cpus: 0.5\nmem_limit: 64m\nmem_reservation: 32m\npids_limit: 100\nscale: 3",
            "deploy: { replicas: 3, resources: { limits: { cpus: \"0.5\", memory: 64M, pids: 100 }, \
             reservations: { memory: 32m } } }",
        );
        assert_same(
            "cpus: 1\ndeploy: { resources: { limits: { cpus: \"1.0\" } } }",
            "cpus: 1",
        );
    }

    #[test]
    fn every_bound_is_read() {
        let limits = service(
            "cpu_shares: 512\ncpu_period: 100ms\ncpu_quota: 50000\ncpu_rt_period: 1s\n\
             cpu_rt_runtime: 95000\ncpuset: 0-1,3\nmemswap_limit: -1\nmem_swappiness: 0\n\
             oom_kill_disable: true\noom_score_adj: -500\npids_limit: -1",
        )
        .container
        .limits;
        insta::assert_debug_snapshot!(limits, @r#"
        Limits {
            nano_cpus: None,
            cpu_shares: Some(
                512,
            ),
            cpu_period: Some(
                100000,
            ),
            cpu_quota: Some(
                50000,
            ),
            cpu_rt_period: Some(
                1000000,
            ),
            cpu_rt_runtime: Some(
                95000,
            ),
            cpuset: Some(
                "0-1,3",
            ),
            memory: None,
            memory_reservation: None,
            memory_swap: Some(
                -1,
            ),
            memory_swappiness: Some(
                0,
            ),
            oom_kill_disable: Some(
                true,
            ),
            oom_score_adj: Some(
                -500,
            ),
            pids: Some(
                -1,
            ),
            blkio: Blkio {
                weight: None,
                weight_device: [],
                read_bps: [],
                write_bps: [],
                read_iops: [],
                write_iops: [],
            },
        }
        "#);
    }

    #[test]
    fn what_contradicts_itself_or_is_no_bound_is_refused() {
        insta::assert_snapshot!(
            errors(
                "cpus: 2\ndeploy: { replicas: 2, resources: { limits: { cpus: 1, devices: [] }, reservations: { cpus: 1 } } }\n\
                 scale: 3\ncpu_quota: much\ncpuset: a-b\nmemswap_limit: -2\nmem_swappiness: 101\n\
                 oom_score_adj: 5000\npids_limit: -3\ncpu_percent: 5"
            ),
            @r#"
            4:11 "cpus" and `deploy.resources.limits.cpus` say different things
                = leave one of them out
            5:60 "devices" is a key of Compose that is not carried out here
                = remove it: it is of Swarm, and an engine alone has no use for it
            5:91 "cpus" is a key of Compose that is not carried out here
                = use `cpu_shares`
            6:12 "scale" and `deploy.replicas` say different things
                = leave one of them out
            7:16 "cpu_quota" must be a duration such as "50ms", or a number of microseconds, not "much"
            8:13 "cpuset" must be processors such as "0-3" or "0,1", not "a-b"
            9:20 "memswap_limit" must be a size such as "2g", or -1, not "-2"
            10:21 "mem_swappiness" must be a number from 0 to 100, not "101"
            11:20 "oom_score_adj" must be a number from -1000 to 1000, not "5000"
            12:17 "pids_limit" must be a number of processes, or -1 for no bound, not "-3"
            13:5 "cpu_percent" is a key of Compose that is not carried out here
                = use `cpus`
            "#
        );
    }
}
