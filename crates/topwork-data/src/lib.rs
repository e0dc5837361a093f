//! Files to rows to splits to tokens to batches.
