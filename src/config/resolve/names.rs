//! Names that must be names of something.
use serde_spanned::Spanned;

use super::super::diagnostic::Findings;
use super::super::site::SiteFile;
use crate::model::id::{Channel, SiteName};

/// Reports a site that does not exist, with the one that was probably meant.
pub(crate) fn check_site<'n>(
    site: &Spanned<SiteName>,
    known: impl Iterator<Item = &'n SiteName> + Clone,
    findings: &mut Findings,
) {
    if known.clone().any(|name| name == site.get_ref()) {
        return;
    }
    let all: Vec<&str> = known.clone().map(SiteName::as_str).collect();
    let finding = findings
        .error(site.span(), format!("there is no site {}", site.get_ref()))
        .hint(format!("the sites are {}", all.join(", ")));
    finding.nearest(site.get_ref().as_str(), known.map(SiteName::as_str));
}

/// Reports a channel that the fleet does not list.
pub(super) fn check_channel(channel: &Spanned<Channel>, file: &SiteFile, findings: &mut Findings) {
    let channels = &file.fleet.channels;
    if channels.contains(channel.get_ref()) {
        return;
    }
    let all: Vec<&str> = channels.iter().map(Channel::as_str).collect();
    findings
        .error(
            channel.span(),
            format!("there is no channel {}", channel.get_ref()),
        )
        .hint(format!("[fleet].channels lists {}", all.join(", ")))
        .nearest(channel.get_ref().as_str(), all);
}
