/** What HELO and EHLO may say (RFC 5321 §4.1.1.1), and what is met: a name in any printable form, or an address literal. */
export const heloArgument = /^(?:[A-Za-z0-9._~!#$%&'*+/=?^`{|}-]{1,255}|\[[A-Za-z0-9.:]{1,60}\])$/
