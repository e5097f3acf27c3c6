//! People: who they are here, and the accounts whose passwords we keep.
//!
//! A person is a row with an id of ours (`usr_…`), found by who vouches for them and under what subject. Names and
//! e-mail addresses are shown and never looked up by: a provider may give an address to somebody else tomorrow.

mod account;
mod attempts;
mod password;
mod users;

pub use account::{AccountError, AccountRow, Accounts, Created, Initial, NewAccount};
pub use attempts::{Attempts, Wait};
pub use password::{Hasher, PasswordError};
pub use users::{Arrival, People, Person, PersonError};
