//! One HTTP stack.
