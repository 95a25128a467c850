//! Dense typed ids: indexes into the tables of one catalog. They never leave the process; names and keys do.

use serde::{Deserialize, Serialize};

macro_rules! dense_id {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Copy, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u32);

        impl $name {
            /// Position in the catalog's table.
            pub const fn index(self) -> usize {
                self.0 as usize
            }

            /// # Panics
            /// The table has more than `u32::MAX` rows, which the catalog refuses long before.
            pub fn from_index(index: usize) -> Self {
                $name(u32::try_from(index).expect("catalog tables are smaller than 2^32 rows"))
            }
        }
    )*};
}

dense_id!(
    /// A row of [`crate::catalog::Catalog::hosts`].
    HostId,
    /// A row of [`crate::catalog::Catalog::services`].
    ServiceId,
    /// A row of [`crate::catalog::Catalog::checks`].
    CheckId,
    /// A row of [`crate::catalog::Catalog::components`].
    ComponentId,
    /// A row of [`crate::catalog::Catalog::zones`].
    ZoneId,
    /// A row of [`crate::catalog::Catalog::clouds`].
    CloudId,
    /// A row of [`crate::catalog::Catalog::contacts`].
    ContactId,
    /// A row of [`crate::catalog::Catalog::timeperiods`].
    TimeperiodId,
    /// A row of [`crate::catalog::Nagios::commands`].
    CommandId,
    /// A row of [`crate::catalog::Nagios::directives`].
    DirectivesId,
    /// A row of [`crate::catalog::Nagios::appearances`].
    AppearanceId,
    /// A row of [`crate::catalog::Nagios::hostgroups`].
    HostGroupId,
    /// A row of [`crate::catalog::Nagios::servicegroups`].
    ServiceGroupId,
    /// A row of [`crate::catalog::Nagios::contactgroups`].
    ContactGroupId,
);

/// A host or a service by id: what a result, an acknowledgement or a downtime is about.
#[derive(Copy, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum ObjectId {
    Host(HostId),
    Service(ServiceId),
}
