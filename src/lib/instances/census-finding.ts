/** Files of one place that share a fate; `path` is for showing. */
export interface CensusPath {
  readonly path: string
  readonly files: number
  readonly bytes: number
  /** Why it may be lost, or what became of it. */
  readonly reason?: string
}
