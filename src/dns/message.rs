//! The UPDATE messages of RFC 2136, as plain as they can be: prerequisites that depend on values,
//! additions, and deletions of exact records.
//!
//! Nothing here rests on the order of its records: PowerDNS runs deletions first, BIND and Knot
//! go in order. No whole RRset is ever deleted.
use std::net::IpAddr;

use hickory_proto::op::{Message, OpCode, Query, UpdateMessage};
use hickory_proto::rr::rdata::{A, AAAA, TXT};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use crate::model::time::Ttl;

/// One UPDATE under construction.
pub(super) struct Update(Message);

impl Update {
    /// An UPDATE of `zone` that states and changes nothing, under an id that nobody can guess.
    pub(super) fn of(zone: &Name) -> Update {
        let mut message = Message::query();
        message.metadata.op_code = OpCode::Update;
        message.metadata.recursion_desired = false;
        message.add_zone(Query::query(zone.clone(), RecordType::SOA));
        Update(message)
    }

    /// States that the RRset has exactly these members (RFC 2136 section 2.4.2), or does not
    /// exist where there are none (section 2.4.3).
    pub(super) fn expect(&mut self, name: &Name, kind: RecordType, members: Vec<RData>) {
        if members.is_empty() {
            let mut absent = Record::update0(name.clone(), 0, kind);
            absent.dns_class = DNSClass::NONE;
            self.0.add_pre_requisite(absent);
        }
        for member in members {
            let record = Record::from_rdata(name.clone(), 0, member);
            self.0.add_pre_requisite(record);
        }
    }

    /// States that there is such an RRset, whatever its members (section 2.4.1).
    pub(super) fn expect_any(&mut self, name: &Name, kind: RecordType) {
        let mut present = Record::update0(name.clone(), 0, kind);
        present.dns_class = DNSClass::ANY;
        self.0.add_pre_requisite(present);
    }

    /// Adds one record (section 2.5.1).
    pub(super) fn add(&mut self, name: &Name, ttl: Ttl, data: RData) {
        self.0
            .add_update(Record::from_rdata(name.clone(), ttl.0, data));
    }

    /// Deletes one record (section 2.5.4).
    pub(super) fn delete(&mut self, name: &Name, data: RData) {
        let mut record = Record::from_rdata(name.clone(), 0, data);
        record.dns_class = DNSClass::NONE;
        self.0.add_update(record);
    }

    pub(super) fn into_message(self) -> Message {
        self.0
    }
}

/// An address as record data.
pub(super) fn address_data(address: IpAddr) -> RData {
    match address {
        IpAddr::V4(v4) => RData::A(A(v4)),
        IpAddr::V6(v6) => RData::AAAA(AAAA(v6)),
    }
}

/// TXT strings as record data.
pub(super) fn txt_data(strings: Vec<String>) -> RData {
    RData::TXT(TXT::new(strings))
}
