/** The address of nobody (RFC 6666), by which the rules are asked what everybody may do. */
export const stranger = '100::1'
