#!/bin/sh
# Starts refit-agent, starts it again when it ends, and lets a new agent that does not
# stay up be replaced by the one before. For a terminal whose agent is a component:
#
#   [components.agent]
#   effect = "live"
#   agent = true
#   directory = "/var/lib/refit/agent"
#   size = 8388608
#
# DIR/current is what the agent switched to; DIR/previous is there while that is on trial.
# The agent is up as soon as it says what it does in its status file.

DIR=${REFIT_AGENT_DIR:-/var/lib/refit/agent}
STATUS=${REFIT_AGENT_STATUS:-/run/refit/status.json}
# Seconds that a new agent has to say so, and how often it may fail to.
UP_WITHIN=${REFIT_AGENT_UP_WITHIN:-60}
TRIES=${REFIT_AGENT_TRIES:-3}
# How to restart the terminal when the agent asks for that.
RESTART=${REFIT_AGENT_RESTART:-reboot}

# Runs "$1"; 0 to 255 as it ended, 124 when it was on trial and never came up.
start() {
    rm -f "$STATUS"
    "$1" run &
    agent=$!
    trap 'kill "$agent"; wait "$agent"; exit 0' TERM INT
    if [ -L "$DIR/previous" ]; then
        waited=0
        while [ ! -e "$STATUS" ] && kill -0 "$agent" 2>/dev/null; do
            if [ "$waited" -ge "$UP_WITHIN" ]; then
                kill -9 "$agent"
                wait "$agent"
                return 124
            fi
            sleep 1
            waited=$((waited + 1))
        done
    fi
    wait "$agent"
}

failed=0
while :; do
    if [ -L "$DIR/previous" ] && [ "$failed" -ge "$TRIES" ]; then
        REFIT_FELL_BACK=1 start "$DIR/$(readlink "$DIR/previous")"
    else
        start "$DIR/current"
    fi
    status=$?
    case $status in
        0) exit 0 ;;
        100) exec $RESTART ;;
        101) failed=0 ;;
        *)
            failed=$((failed + 1))
            [ -L "$DIR/previous" ] || sleep 1
            ;;
    esac
done
