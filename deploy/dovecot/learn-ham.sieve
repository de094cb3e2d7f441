# A user has moved a message out of Junk, and not thrown it away.
require ["vnd.dovecot.pipe", "copy", "imapsieve", "environment", "variables"];

if environment :matches "imap.mailbox" "*" {
  set "mailbox" "${1}";
}

if string "${mailbox}" ["Trash", "Deleted Items", "Deleted Messages"] {
  stop;
}

pipe :copy "sluice-learn" ["ham"];
