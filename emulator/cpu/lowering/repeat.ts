import type { Form } from "../form.js";

export interface RepeatedMove {
  readonly bytes: number;
}
export function repeatedMove(_form: Form): RepeatedMove | undefined {
  return undefined;
}
