//! pontoon
