/** The shell of a terminal: bash as at a login where there is one, else what every image has. */
export const shell = "command -v bash >/dev/null && exec bash -l || exec sh";
export const terminalType = "xterm-256color";
