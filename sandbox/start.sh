#!/bin/sh
# The sandbox's command when it was created without one. It gives way to the supervisor, so that signals reach it.
exec node --max-semi-space-size=1 /usr/local/lib/sandbox/main.js
