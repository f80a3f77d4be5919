// What is asked of objects by their names: open, unlink and link, by threads of this machine (named.ts) and of others. The home of a name answers, which the
// name chooses. Core 0 only.
import { ASYNCHRONOUS } from "../lwkt/port";
import { clusterSelf, isDead, messageEnd, messageTo } from "../syslink/cluster";
import {
  COMMAND_LINK,
  COMMAND_OPEN,
  COMMAND_UNLINK,
  DIRECTORY_LINKID,
  ITEM_ERROR,
  ITEM_LINK,
  ITEM_NAME,
  ITEM_OBJECT,
  ITEM_SIZE,
} from "../syslink/commands";
import {
  itemData,
  itemDataBytes,
  itemFind,
  itemPut,
  MessageHeader,
  REFERENCES,
  RESPONSE,
} from "../syslink/message";
import { ASK_LINK, ASK_OPEN, Client } from "./client";
import { homeOf } from "./homes";
import { isLinkName, LINK_BYTES, linkSaidHash, linkSaidTo, linkSay } from "./links";
import { OPEN_NEW, OPEN_THERE } from "./named";
import { objectByName, objectCreate, objectName, objectUnnamed, perish, referenceGiven } from "./object-list";
import { isNumbered, nameHash } from "./object-names";
import { SharedObject } from "./pager";
import { begin } from "./questions";
import { willChanged, willMake } from "./wills";

const ENOENT: i64 = 2;
const EIO: i64 = 5;
const EEXIST: i64 = 17;

// --- At the home ---

/** What was asked has come to: the object, 0 = none; that the name is a link, to what (links.ts), or that it has been counted as one. */
let found: usize = 0;
let linkTo: u64 = 0;
let linkHash: u32 = 0;
let linkCounted: u32 = 0;

function answersLink(to: u64, hash: u32, counted: u32): void {
  linkTo = to;
  linkHash = hash;
  linkCounted = counted;
}

/** Does `command`; `to` and `hash` of LINK: what the name is to be a link to, 0 = it is to be counted. An error, or 0 and the variables above. */
function served(command: u32, how: u32, name: usize, bytes: u32, to: u64, hash: u32): i64 {
  found = 0;
  answersLink(0, 0, 0);
  if (command == COMMAND_OPEN) return openHere(how, name, bytes);
  if (command == COMMAND_UNLINK) return unlinkHere(name, bytes);
  return hash != 0 ? linkHere(name, bytes, to, hash, how != 0) : countHere(name, bytes);
}

function openHere(how: u32, name: usize, bytes: u32): i64 {
  // Of who wants to make it, and only that.
  if (how == OPEN_NEW && changetype<usize>(objectByName(name, bytes, false)) != 0) return -EEXIST;
  const object = objectByName(name, bytes, how != OPEN_THERE);
  if (changetype<usize>(object) == 0) return -ENOENT;
  if (object.linkHash != 0) answersLink(object.linkTo, object.linkHash, 0);
  else found = changetype<usize>(object);
  return 0;
}

function unlinkHere(name: usize, bytes: u32): i64 {
  const object = objectByName(name, bytes, false);
  if (changetype<usize>(object) == 0) return -ENOENT;
  answersLink(object.linkTo, object.linkHash, 0);
  // All links to a numbered object have the same name, or its only one.
  if (isNumbered(name, bytes) && object.links != 0) object.links--;
  else if (!isLinkName(name, bytes)) objectUnnamed(object);
  changed(object);
  return 0;
}

function changed(object: SharedObject): void {
  willChanged(object);
  perish(object);
}

/** Somebody is about to make one more link to what the name stands for. */
function countHere(name: usize, bytes: u32): i64 {
  const object = objectByName(name, bytes, false);
  if (changetype<usize>(object) == 0) return -ENOENT;
  if (object.linkHash != 0) {
    answersLink(object.linkTo, object.linkHash, 0);
    return 0;
  }
  object.links++;
  willChanged(object);
  answersLink(object.id, object.hash, 1);
  return 0;
}

function linkHere(name: usize, bytes: u32, to: u64, hash: u32, replace: bool): i64 {
  const object = objectByName(name, bytes, false);
  if (changetype<usize>(object) != 0) {
    if (!replace || object.id == to || (object.linkHash != 0 && object.linkTo == to)) return -EEXIST;
    answersLink(object.linkTo, object.linkHash, 0);
    objectUnnamed(object);
    changed(object);
  }
  const link = objectCreate();
  link.linkTo = to;
  link.linkHash = hash;
  objectName(link, name, bytes);
  willMake(link);
  return 0;
}

// --- What this machine's threads ask ---

export function askedByName(client: Client): i64 {
  const command = commandOf(client);
  const home = homeOf(nameHash(client.name, client.nameBytes));
  if (home != clusterSelf()) return askHome(client, command, home);
  const result = served(command, client.write, client.name, client.nameBytes, client.linkTo, client.linkHash);
  if (result < 0) return result;
  client.object = found;
  if (found != 0) {
    const object = changetype<SharedObject>(found);
    referenceGiven(object.id, clusterSelf());
    object.references++;
  }
  takeLink(client, linkTo, linkHash, linkCounted);
  return 0;
}

function commandOf(client: Client): u32 {
  return client.command == ASK_OPEN
    ? COMMAND_OPEN
    : client.command == ASK_LINK
      ? COMMAND_LINK
      : COMMAND_UNLINK;
}

function takeLink(client: Client, to: u64, hash: u32, counted: u32): void {
  client.linkTo = to;
  client.linkHash = hash;
  client.linkCounted = counted;
}

function askHome(client: Client, command: u32, home: u32): i64 {
  if (isDead(home)) return -EIO;
  begin(client, home);
  const writer = messageTo(home, 16 + 8 + 256 + LINK_BYTES, DIRECTORY_LINKID, client.msgid, command);
  memory.copy(itemPut(writer, ITEM_NAME, client.write, client.nameBytes), client.name, client.nameBytes);
  if (client.linkHash != 0) linkSay(writer, 0, client.linkTo, client.linkHash);
  messageEnd();
  return ASYNCHRONOUS;
}

/** The home's answer; what it says of an object is not looked at here. */
export function answeredByName(client: Client, message: MessageHeader): void {
  const link = itemFind(message, ITEM_LINK);
  client.object = 0;
  if (changetype<usize>(link) == 0) takeLink(client, 0, 0, 0);
  else takeLink(client, linkSaidTo(link), linkSaidHash(link), link.aux);
}

// --- What other machines ask ---

export function directoryMessage(from: u32, message: MessageHeader, command: u32): void {
  const item = itemFind(message, ITEM_NAME);
  if (changetype<usize>(item) == 0) return;
  const link = itemFind(message, ITEM_LINK);
  const linked = changetype<usize>(link) != 0;
  const to = linked ? linkSaidTo(link) : 0;
  const hash = linked ? linkSaidHash(link) : 0;
  const result = served(command, item.aux, itemData(item), itemDataBytes(item), to, hash);
  const room = 16 + 16 + 16 + LINK_BYTES;
  const writer = messageTo(from, room, message.linkid, message.msgid, command | RESPONSE);
  if (result < 0) itemPut(writer, ITEM_ERROR, u32(-result), 0);
  else if (found != 0) {
    const object = changetype<SharedObject>(found);
    store<u64>(itemPut(writer, ITEM_OBJECT | REFERENCES, 0, 8), object.id);
    store<u64>(itemPut(writer, ITEM_SIZE, 0, 8), object.size);
  } else if (linkHash != 0) linkSay(writer, linkCounted, linkTo, linkHash);
  messageEnd();
}
