//! TOSE.
