#!/bin/bash
# Exit code 0: spamd answers.
exec 3<>/dev/tcp/127.0.0.1/783 || exit 1
printf 'PING SPAMC/1.2\r\n\r\n' >&3
read -t 5 -r _ code _ <&3 && [ "$code" = 0 ]
