// What the probes print with, on the first serial line. Labels: printHex (EAX as eight digits), print (the
// zero-terminated text at ESI, which moves on), printCharacter (AL). Other registers stay.
import { type Assembler, al, dx, eax, ecx, edx } from "../../firmware/assembler.js";

/** Places the three routines here, printHex first. */
export function printing(a: Assembler): void {
  const { op } = a;
  // printHex: eax, keeps all
  a.label("printHex");
  op.push(ecx);
  op.push(edx);
  op.push(eax);
  op.mov(ecx, 8);
  a.label("printHex.next");
  op.rol(eax, 4);
  op.push(eax);
  op.and(al, 15);
  op.cmp(al, 10);
  op.jb("printHex.digit");
  op.add(al, 0x27);
  a.label("printHex.digit");
  op.add(al, 0x30);
  op.call("printCharacter");
  op.pop(eax);
  op.loop("printHex.next");
  op.pop(eax);
  op.pop(edx);
  op.pop(ecx);
  op.ret();
  // print: text at esi
  a.label("print");
  op.push(eax);
  a.label("print.next");
  op.lodsb();
  op.test(al, al);
  op.je("print.end");
  op.call("printCharacter");
  op.jmp("print.next");
  a.label("print.end");
  op.pop(eax);
  op.ret();
  a.label("printCharacter");
  // Waits after the character too: nothing may be left in the transmitter when the machine goes off.
  op.push(edx);
  op.push(eax);
  op.mov(dx, 0x3f8);
  op.out(dx, al);
  op.mov(dx, 0x3fd);
  a.label("printCharacter.wait");
  op.in(al, dx);
  op.test(al, 0x40);
  op.je("printCharacter.wait");
  op.pop(eax);
  op.pop(edx);
  op.ret();
}
