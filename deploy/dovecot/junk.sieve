# Junk is filed as such. The field is the filter's: those that came with the mail were taken out.
require ["fileinto", "mailbox"];

if header :is "X-Spam-Flag" "YES" {
  fileinto :create "Junk";
  stop;
}
