//! The templates are compiled in: a change of one makes the program anew.

fn main() {
    println!("cargo:rerun-if-changed=../../templates");
}
