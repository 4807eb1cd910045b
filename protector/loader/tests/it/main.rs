//! The loader with programs in it: as plain programs behave, watched, and closed to others.
