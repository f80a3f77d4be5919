// Names by which generated code, stubs and tables find each other in the linker.
export const symbolOf = {
  function: (index: number) => `function ${index}`,
  global: (index: number) => `global ${index}`,
  table: "function table",
  memoryCopy: "memory.copy",
  memoryFill: "memory.fill",
  popcount: "popcount",
  /** Entry points that the stubs call; each is an export of the kernel's or program's main file. */
  exported: (name: string) => `export ${name}`,
  imageEnd: "image end",
} as const;
