//! The lab is the base of all proofs, so it is proved first: that it is what it says, that its
//! eyes see a fault where there is one, and that nothing of it stays behind.

mod comes_and_goes;
mod eyes_see;
mod faults_bite;
mod images_behave;
mod names_follow;
mod proxies_spoil;

use std::net::IpAddr;

use crate::lab::LabSpec;

/// The addresses of these sites, as an answer lists them.
fn addresses(spec: &LabSpec, sites: &[&str]) -> Vec<IpAddr> {
    let mut all: Vec<_> = sites.iter().flat_map(|site| spec.addresses(site)).collect();
    all.sort_unstable();
    all
}
