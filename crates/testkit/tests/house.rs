//! The whole house from outside: journeys, named attacks, what breaks and what must not break with it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod house {
    mod administration;
    mod agents;
    mod aside;
    mod asking_again;
    mod authority;
    mod bad_requests;
    mod bad_servers;
    mod bed;
    mod bridging;
    mod canary;
    mod children;
    mod confused_deputy;
    mod contracts;
    mod downstream;
    mod fail_closed;
    mod following;
    mod full_disk;
    mod http_faults;
    mod identity;
    mod importing;
    mod invisible;
    mod issuing;
    mod journeys;
    mod killed;
    mod lists;
    mod matrix;
    mod opaque;
    mod questions;
    mod rebinding;
    mod reload;
    mod resuming;
    mod revocation;
    mod revoked_under_way;
    mod revoking;
    mod sessions;
    mod signing_in;
    mod soaking;
    mod traces;
    mod vouching;
}
