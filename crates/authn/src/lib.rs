//! Room `authn`.
