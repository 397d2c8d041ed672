//! `blkio_config`: shares of, and bounds on, block devices.
use crate::config::compose::document::reader::{Reader, Value};
use crate::config::compose::text::quantity;
use crate::model::service::{Blkio, BlkioRate, BlkioWeight};

const WEIGHT: &str = "a weight from 10 to 1000";

pub(crate) fn read_blkio(reader: &mut Reader<'_>, value: Value<'_>) -> Blkio {
    let mut fields = reader.fields(value);
    let blkio = Blkio {
        weight: fields.parsed(reader, "weight", WEIGHT, weight),
        weight_device: fields
            .read(reader, "weight_device", read_weights)
            .unwrap_or_default(),
        read_bps: fields
            .read(reader, "device_read_bps", |reader, value| {
                read_rates(reader, value, quantity::BYTES, quantity::bytes)
            })
            .unwrap_or_default(),
        write_bps: fields
            .read(reader, "device_write_bps", |reader, value| {
                read_rates(reader, value, quantity::BYTES, quantity::bytes)
            })
            .unwrap_or_default(),
        read_iops: fields
            .read(reader, "device_read_iops", read_iops)
            .unwrap_or_default(),
        write_iops: fields
            .read(reader, "device_write_iops", read_iops)
            .unwrap_or_default(),
    };
    fields.finish(reader, &[]);
    blkio
}

/// 0 is the engine's own choice, as in Compose.
fn weight(text: &str) -> Option<u16> {
    let weight = text.parse().ok()?;
    (weight == 0 || (10..=1000).contains(&weight)).then_some(weight)
}

fn read_weights(reader: &mut Reader<'_>, value: Value<'_>) -> Vec<BlkioWeight> {
    let items = reader.list(value);
    let one = |item| {
        let mut fields = reader.fields(item);
        let path = fields.parsed(reader, "path", DEVICE, device);
        let weight = fields.parsed(reader, "weight", WEIGHT, weight);
        fields.finish(reader, &[]);
        need(reader, item, "weight", path.zip(weight))
            .map(|(path, weight)| BlkioWeight { path, weight })
    };
    items.into_iter().filter_map(one).collect()
}

fn read_iops(reader: &mut Reader<'_>, value: Value<'_>) -> Vec<BlkioRate> {
    read_rates(reader, value, "a number of operations a second", |text| {
        text.parse().ok()
    })
}

fn read_rates(
    reader: &mut Reader<'_>,
    value: Value<'_>,
    expected: &str,
    parse: fn(&str) -> Option<u64>,
) -> Vec<BlkioRate> {
    let items = reader.list(value);
    let one = |item| {
        let mut fields = reader.fields(item);
        let path = fields.parsed(reader, "path", DEVICE, device);
        let rate = fields.parsed(reader, "rate", expected, parse);
        fields.finish(reader, &[]);
        need(reader, item, "rate", path.zip(rate)).map(|(path, rate)| BlkioRate { path, rate })
    };
    items.into_iter().filter_map(one).collect()
}

const DEVICE: &str = "a device of the host such as \"/dev/sda\"";

fn device(text: &str) -> Option<String> {
    text.starts_with('/').then(|| text.to_owned())
}

/// Of an item that lacks something, nothing; what was wrong with it was told, what lacks is.
fn need<T>(reader: &mut Reader<'_>, item: Value<'_>, what: &str, both: Option<T>) -> Option<T> {
    if both.is_none() {
        let message = format!("an item of {:?} needs a \"path\" and a {what:?}", item.name);
        reader.error(&item.node.span, message);
    }
    both
}

#[cfg(test)]
mod tests {
    use crate::config::compose::fixture::{errors, service};

    #[test]
    fn weights_and_rates_are_read() {
        let blkio = service(
            "blkio_config: { weight: 300, weight_device: [{ path: /dev/sda, weight: 400 }], \
             device_read_bps: [{ path: /dev/sdb, rate: 12mb }], \
             device_write_iops: [{ path: /dev/sdb, rate: 120 }] }",
        )
        .container
        .limits
        .blkio;
        assert_eq!(blkio.weight, Some(300));
        assert_eq!(blkio.weight_device[0].weight, 400);
        assert_eq!(blkio.read_bps[0].rate, 12 * 1024 * 1024);
        assert_eq!(blkio.write_iops[0].rate, 120);
    }

    #[test]
    fn what_is_no_share_of_a_disk_is_refused() {
        insta::assert_snapshot!(
            errors("blkio_config:\n  weight: 5\n  device_read_bps: [{ path: sda, rate: 1mb }]\n  device_read_iops: [{ path: /dev/a, rate: 1mb }]\n  device_write_bps: [{ path: /dev/a }]\n  weights: 1"),
            @r#"
            5:15 "weight" must be a weight from 10 to 1000, not "5"
            6:25 an item of "device_read_bps" needs a "path" and a "rate"
            6:33 "path" must be a device of the host such as "/dev/sda", not "sda"
            7:26 an item of "device_read_iops" needs a "path" and a "rate"
            7:48 "rate" must be a number of operations a second, not "1mb"
            8:26 an item of "device_write_bps" needs a "path" and a "rate"
            9:7 unknown key "weights"
                = did you mean "weight"?
            "#
        );
    }
}
