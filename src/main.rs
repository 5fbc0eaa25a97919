//! The binary `lockstep`, also installed as `kubectl-lockstep`.

fn main() -> std::process::ExitCode {
    lockstep::cli::main(std::env::args_os())
}
