//! How old the containers of a host are: one list, nothing is touched.
use jiff::Timestamp;

use super::adapter::Errand;
use crate::coordinator::outcome::Problem;
use crate::model::inventory::Role;

impl Errand<'_> {
    /// When the oldest container was created that visits recreate, running or not; kept ones and
    /// strays are not theirs to renew. By the engine's clock; `None`: there is none.
    pub(super) async fn oldest(&self) -> Result<Option<Timestamp>, Problem> {
        let listed = self.client.survey().await;
        let listed = listed.map_err(|fault| {
            self.client
                .problem("look how old its containers are", &fault)
        })?;
        let ours = listed
            .iter()
            .filter(|container| self.context.project(container.project()).is_some())
            .filter(|container| self.role(container) == Role::Recreated);
        Ok(ours.filter_map(|container| container.created).min())
    }
}
