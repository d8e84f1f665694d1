#!/bin/sh
# The sandbox's command when it was created without one: the project's dev or start script, else a page that says
# how to get there. It gives way to what it starts, so that signals and exit codes are the app's own.
has_script() { [ -f package.json ] && grep -Eq "\"$1\"[[:space:]]*:" package.json; }

if has_script dev; then exec npm run dev; fi
if has_script start; then exec npm start; fi
exec node /usr/local/lib/sandbox/placeholder.mjs
