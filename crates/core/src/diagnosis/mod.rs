//! Signals to verdicts (specification 10): one pure, total function over a topology and the newest signals.
