//! Sign-in at a tenant's own identity provider (OpenID Connect Core 1.0, authorization code flow with PKCE).
//!
//! In: which provider somebody chose, and later what their browser brings back. Out: a person's arrival, or a refusal
//! that says what is wrong and where. Never here: a provider's token kept, but for a sealed
//! refresh token where the operator wants it asked again (`voucher`); trust in an e-mail address; a state that
//! another browser could bring back; a redirect to an address that the provider's own metadata does not name.
//!
//! SEAM: other ways to be vouched for (SAML, passkeys, a workload's own token) end as an [`Arrived`] too; what comes
//! after it (person, session, consent) does not know how somebody was vouched for. Provisioning (SCIM) joins at
//! [`crate::person::People`].

mod claims;
mod code;
mod config;
mod departure;
mod doctor;
mod federation;
mod fetch;
mod id_token;
mod logout_token;
mod profile;
mod provider;

pub use config::{ClientAuth, Overage, ProviderConfig, Recheck, TenantConfig};
pub use departure::LIFE as AWAY;
pub use doctor::{Examination, Finding, Report, Verdict, examine};
pub use federation::{Arrived, Departed, Federation, Returned, SignInError};
pub use id_token::IdTokenError;
pub(crate) use id_token::is_of_directory;
pub use logout_token::{LoggedOut, LogoutError};
pub use profile::Profile;
