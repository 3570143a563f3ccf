/** When the phases of a start ended, for `benchmarks --profile`. */

/** Milliseconds since 1970 by the name of the phase that ended then. */
export const marks: Record<string, number> = {};

/** Notes that a phase ended. */
export function mark(phase: string): void {
  marks[phase] = performance.timeOrigin + performance.now();
}
