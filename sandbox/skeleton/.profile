# Read by login shells.
export PATH="$HOME/.local/bin:$PATH"
