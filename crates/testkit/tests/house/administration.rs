//! The admin API: who may, who may not, and what is on record of it.

mod bed;
mod changes;
mod coverage;
mod door;
mod first_token;
mod recorded;
mod rows;
