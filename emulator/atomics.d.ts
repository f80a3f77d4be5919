// Atomics.waitAsync (ECMAScript 2024, 25.4.13): Node has it, the ES2023 library that we compile against does not declare it.

interface Atomics {
  waitAsync(
    typedArray: Int32Array,
    index: number,
    value: number,
    timeout?: number,
  ):
    | { readonly async: false; readonly value: "not-equal" | "timed-out" }
    | { readonly async: true; readonly value: Promise<"ok" | "timed-out"> };
}
