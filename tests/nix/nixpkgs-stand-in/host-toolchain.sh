# Finds the host's Rust toolchain and cargo cache: those of the building user, whatever HOME says.
realHome=$(getent passwd "$(id -u)" | cut -d: -f6)
cargoCache=$realHome/.cargo
if [ -d /usr/local/cargo ]; then cargoCache=/usr/local/cargo; PATH=/usr/local/cargo/bin:$PATH; fi
if [ -d "$realHome/.cargo/bin" ]; then PATH=$realHome/.cargo/bin:$PATH; fi
if [ -d "$realHome/.rustup" ]; then export RUSTUP_HOME=$realHome/.rustup; fi
if [ -d /usr/local/rustup ]; then export RUSTUP_HOME=/usr/local/rustup; fi
