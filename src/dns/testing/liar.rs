//! A primary that takes UPDATEs as RFC 2136 says, but for one thing. It holds the key, so what it
//! says is signed: whoever trusts it must find out by what it does.
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::rdata::tsig::TsigAlgorithm;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType, TSigResponseContext, TSigner};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::proxy::{read, write};
use super::zone::SECRET;

/// What it does instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    None,
    /// It says NOERROR to a creation, and creates nothing.
    CreatesNothing,
    /// *RRset does not exist* holds for it always.
    CreatesTwice,
    /// It refuses what holds and adds something, once something stands there.
    RefusesAll,
    /// An RRset that has all that is stated is as stated.
    TakesSubsets,
    /// An RRset of which some was stated is as stated.
    TakesSupersets,
    /// An RRset that is there is as stated.
    TakesAnyValue,
    /// It looks at addresses, and at texts never.
    OverlooksTexts,
    /// It looks at A, and at AAAA never.
    OverlooksV6,
    /// One prerequisite that holds is enough.
    OneIsEnough,
    /// Of what is added to both it keeps the addresses.
    DropsTexts,
    /// A record that is deleted takes its RRset with it.
    DeletesTheSet,
    /// What is there cannot be added.
    RefusesWhatIsThere,
    /// Octets that were carried out once are carried out again.
    RepeatsItself,
    /// It needs no signature.
    TakesUnsigned,
    /// It looks at prerequisites first, and carries out what passed a little later.
    Races,
    /// Questions are answered as things were a moment ago.
    ShowsLate,
    SerialStands,
    SerialRuns,
    /// Nothing is ever deleted.
    KeepsAll,
    /// It answers no UPDATE after so many.
    FallsSilent(usize),
}

pub(crate) struct Liar {
    pub(crate) address: SocketAddr,
    inside: Arc<Inside>,
    task: JoinHandle<()>,
}

struct Inside {
    lie: Lie,
    signer: TSigner,
    zone: Mutex<Zone>,
    updates: Mutex<usize>,
}

#[derive(Clone)]
struct Zone {
    serial: u32,
    records: Vec<Record>,
    carried_out: BTreeSet<Vec<u8>>,
    /// What stood there before the last change, and when that was.
    before: Option<(Instant, Vec<Record>)>,
}

const APEX: &str = "example.com.";
/// How late [`Lie::ShowsLate`] shows, and [`Lie::Races`] carries out.
const A_MOMENT: Duration = Duration::from_millis(30);

impl Liar {
    pub(crate) async fn start(lie: Lie) -> Liar {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let key = Name::from_ascii("cleanslate.").unwrap();
        let signer = TSigner::new(SECRET.to_vec(), TsigAlgorithm::HmacSha256, key, 20).unwrap();
        let inside = Arc::new(Inside {
            lie,
            signer,
            zone: Mutex::new(Zone {
                serial: 1,
                records: Vec::new(),
                carried_out: BTreeSet::new(),
                before: None,
            }),
            updates: Mutex::new(0),
        });
        let serving = Arc::clone(&inside);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let inside = Arc::clone(&serving);
                tokio::spawn(async move { inside.converse(client).await });
            }
        });
        Liar {
            address,
            inside,
            task,
        }
    }

    /// What stands in its zone.
    pub(crate) async fn records(&self) -> usize {
        self.inside.zone.lock().await.records.len()
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Inside {
    async fn converse(&self, mut client: TcpStream) {
        while let Some(octets) = read(&mut client).await {
            let request = Message::from_vec(&octets).unwrap();
            let answer = if request.op_code == OpCode::Update {
                match self.update(&request, octets).await {
                    Some(code) => self.signed(&request, code),
                    None => continue,
                }
            } else {
                answer(&self.shown().await, &request)
            };
            if write(&mut client, &answer.to_vec().unwrap()).await.is_err() {
                return;
            }
        }
    }

    async fn shown(&self) -> Zone {
        let mut zone = self.zone.lock().await.clone();
        if let Some((at, before)) = &zone.before
            && self.lie == Lie::ShowsLate
            && at.elapsed() < A_MOMENT
        {
            zone.records.clone_from(before);
        }
        zone
    }

    fn signed(&self, request: &Message, code: ResponseCode) -> Message {
        let mut answer = Message::response(request.id, OpCode::Update);
        answer.metadata.response_code = code;
        let Some(signature) = request.signature() else {
            return answer;
        };
        let data = &signature.data;
        let context = TSigResponseContext::new(
            request.id,
            data.time,
            self.signer.clone(),
            data.mac.clone(),
            None,
        );
        let signature = context.sign(&answer.to_vec().unwrap()).unwrap();
        answer.set_signature(signature);
        answer
    }

    /// `None`: no answer.
    async fn update(&self, request: &Message, octets: Vec<u8>) -> Option<ResponseCode> {
        if request.signature().is_none() && self.lie != Lie::TakesUnsigned {
            return Some(ResponseCode::Refused);
        }
        let count = {
            let mut updates = self.updates.lock().await;
            *updates += 1;
            *updates
        };
        if matches!(self.lie, Lie::FallsSilent(after) if count > after) {
            return None;
        }
        let is_repeated = {
            let zone = self.zone.lock().await;
            self.lie == Lie::RepeatsItself && zone.carried_out.contains(&octets)
        };
        let holds = is_repeated || self.holds(&*self.zone.lock().await, request);
        if self.lie == Lie::Races {
            sleep(A_MOMENT).await;
        }
        let mut zone = self.zone.lock().await;
        // Another may have come between: an honest one looks and acts under one lock.
        let still_holds = is_repeated || self.holds(&zone, request);
        let passes = still_holds || holds && self.lie == Lie::Races;
        if !passes {
            zone.serial += u32::from(self.lie == Lie::SerialRuns);
            return Some(ResponseCode::NXRRSet);
        }
        let adds = request
            .authorities
            .iter()
            .any(|change| change.dns_class == DNSClass::IN);
        if self.lie == Lie::RefusesAll && adds && !zone.records.is_empty() {
            return Some(ResponseCode::NXRRSet);
        }
        Some(self.carry_out(&mut zone, request, octets))
    }

    fn holds(&self, zone: &Zone, request: &Message) -> bool {
        let stated: BTreeSet<(Name, RecordType)> = request
            .answers
            .iter()
            .map(|record| (record.name.clone(), record.record_type()))
            .collect();
        let mut each = stated.iter().map(|(name, kind)| {
            let is_overlooked = *kind == RecordType::TXT && self.lie == Lie::OverlooksTexts
                || *kind == RecordType::AAAA && self.lie == Lie::OverlooksV6;
            is_overlooked || self.is_as_stated(zone, request, name, *kind)
        });
        if self.lie == Lie::OneIsEnough {
            stated.is_empty() || each.any(|holds| holds)
        } else {
            each.all(|holds| holds)
        }
    }

    fn is_as_stated(&self, zone: &Zone, request: &Message, name: &Name, kind: RecordType) -> bool {
        let is_it = |record: &&Record| record.name == *name && record.record_type() == kind;
        let stated: Vec<&Record> = request.answers.iter().filter(is_it).collect();
        let there: BTreeSet<String> = zone.records.iter().filter(is_it).map(text).collect();
        if stated
            .iter()
            .any(|record| record.dns_class == DNSClass::NONE)
        {
            return there.is_empty() || self.lie == Lie::CreatesTwice;
        }
        if stated
            .iter()
            .any(|record| record.dns_class == DNSClass::ANY)
        {
            return kind == RecordType::SOA || !there.is_empty();
        }
        let stated: BTreeSet<String> = stated.into_iter().map(text).collect();
        if self.lie == Lie::TakesSubsets {
            stated.is_subset(&there)
        } else if self.lie == Lie::TakesSupersets {
            there.is_subset(&stated) && !there.is_empty()
        } else if self.lie == Lie::TakesAnyValue {
            !there.is_empty()
        } else {
            stated == there
        }
    }

    fn carry_out(&self, zone: &mut Zone, request: &Message, octets: Vec<u8>) -> ResponseCode {
        let before = zone.records.clone();
        let has = |kind| {
            let mut added = request.authorities.iter();
            added.any(|it| it.record_type() == kind && it.dns_class == DNSClass::IN)
        };
        let is_of_both = !before.is_empty() && has(RecordType::A) && has(RecordType::TXT);
        for change in &request.authorities {
            let is_text = change.record_type() == RecordType::TXT;
            if is_text && is_of_both && self.lie == Lie::DropsTexts {
                continue;
            }
            let is_there =
                |record: &Record| record.name == change.name && record.data == change.data;
            if change.dns_class == DNSClass::NONE {
                let kind = change.record_type();
                let takes_all = self.lie == Lie::DeletesTheSet && zone.records.iter().any(is_there);
                let goes = |record: &Record| {
                    is_there(record)
                        || takes_all && record.name == change.name && record.record_type() == kind
                };
                zone.records
                    .retain(|record| self.lie == Lie::KeepsAll || !goes(record));
            } else if zone.records.iter().any(is_there) {
                if self.lie == Lie::RefusesWhatIsThere {
                    zone.records = before;
                    return ResponseCode::YXRRSet;
                }
            } else if self.lie != Lie::CreatesNothing {
                zone.records.push(change.clone());
            }
        }
        let is_changed = zone.records != before || self.lie == Lie::SerialRuns;
        zone.serial += u32::from(is_changed && self.lie != Lie::SerialStands);
        zone.before = Some((Instant::now(), before));
        zone.carried_out.insert(octets);
        ResponseCode::NoError
    }
}

fn text(record: &Record) -> String {
    record.data.to_string()
}

fn answer(zone: &Zone, request: &Message) -> Message {
    let query = request.queries[0].clone();
    let mut answer = Message::response(request.id, OpCode::Query);
    answer.metadata.authoritative = true;
    if query.query_type() == RecordType::SOA {
        let apex = Name::from_ascii(APEX).unwrap();
        let soa = SOA::new(apex.clone(), apex.clone(), zone.serial, 1, 1, 1, 1);
        answer
            .answers
            .push(Record::from_rdata(apex, 1, RData::SOA(soa)));
    } else {
        let here = |record: &&Record| record.name == *query.name();
        let below = |record: &Record| query.name().zone_of(&record.name);
        let found = zone.records.iter().filter(here);
        answer.answers = found
            .filter(|record| record.record_type() == query.query_type())
            .cloned()
            .collect();
        if !zone.records.iter().any(below) {
            answer.metadata.response_code = ResponseCode::NXDomain;
        }
    }
    answer.queries.push(query);
    answer
}
