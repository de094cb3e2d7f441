#!/bin/bash
# Exit code 0: clamd answers.
exec 3<>/dev/tcp/127.0.0.1/3310 || exit 1
printf 'nPING\n' >&3
read -t 5 -r answer <&3 && [ "$answer" = PONG ]
