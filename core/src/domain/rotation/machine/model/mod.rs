//! Every story of one credential, explored: stores that fail, answers that do not come, crashes, strangers, thieves.

mod act;
mod check;
mod watch;
mod world;
