// METHOD URL: prints "status N" and the body; any other outcome is printed and exits with 1.
fn main() {
    let mut args = std::env::args().skip(1);
    let method = args.next().expect("METHOD");
    let url = args.next().expect("URL");
    match ureq::request(&method, &url).call() {
        Ok(answer) | Err(ureq::Error::Status(_, answer)) => {
            println!("status {}", answer.status());
            println!("{}", answer.into_string().unwrap_or_default());
        }
        Err(error) => {
            println!("error {error}");
            std::process::exit(1);
        }
    }
}
