/** The part of sax that we use; the package has no types of its own. */
declare module 'sax' {
  /** Put on a parser, they are called in the order of the text; what they throw ends it. */
  export interface Handlers {
    onopentag(tag: { readonly name: string }): void
    onclosetag(name: string): void
    ontext(text: string): void
    oncdata(text: string): void
    ondoctype(text: string): void
    onerror(error: Error): void
  }

  export interface Parser {
    /** Set when the text is not well-formed; taken away, parsing goes on. */
    error: Error | null
    write(text: string): Parser
    close(): Parser
  }

  const sax: { parser(strict: boolean, options: { readonly position: boolean }): Parser }
  export default sax
}
