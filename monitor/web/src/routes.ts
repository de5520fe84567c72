// Where the arrows of the picture run: below the rows of cards, each in a lane of its own, and beside them from row to row.

/** A card as it lies in the picture, in CSS pixels. */
export interface Box {
  readonly name: string;
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** An arrow to be drawn: from a service's holder to its secondary. */
export interface Wire {
  readonly service: string;
  readonly from: string;
  readonly to: string;
}

export interface Route {
  readonly wire: Wire;
  readonly path: string;
  readonly label: Point;
  /** Where the arrow's head is; it points upwards, into the card. */
  readonly end: Point;
}

export interface Drawing {
  readonly routes: readonly Route[];
  /** How many lanes the fullest row needs below it. */
  readonly lanes: number;
  /** How many ways run beside the cards, from row to row. */
  readonly channels: number;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

export const LANE = 22;
export const CHANNEL = 12;
const FIRST_LANE = 22;
const APART = 14;
const ROUNDING = 8;

interface Card extends Box {
  readonly row: number;
}

/** The room below a row for so many lanes. */
export function room(lanes: number): number {
  return lanes === 0 ? 24 : FIRST_LANE + lanes * LANE;
}

/** All arrows, given where the cards lie and how wide the picture is. */
export function drawing(boxes: readonly Box[], wires: readonly Wire[], width: number): Drawing {
  const cards = inRows(boxes);
  const known = wires.filter((wire) => cards.has(wire.from) && cards.has(wire.to) && wire.from !== wire.to);
  const ports = portsOf(known, cards);
  const lanes = new Lanes();
  let channels = 0;
  const routes = byReach(known, cards).map((wire): Route => {
    const [from, to] = [cards.get(wire.from) as Card, cards.get(wire.to) as Card];
    const [out, into] = [ports.get(`${wire.service} out`) ?? 0, ports.get(`${wire.service} in`) ?? 0];
    const beside = width - 4 - CHANNEL * channels;
    if (from.row !== to.row) channels += 1;
    const points = from.row === to.row ? under(from, out, into, lanes) : around(from, to, out, into, beside, lanes);
    const [first, second, end] = [points[1] as Point, points[2] as Point, points[points.length - 1] as Point];
    return { wire, path: rounded(points), label: { x: (first.x + second.x) / 2, y: first.y }, end };
  });
  return { routes, lanes: lanes.most(), channels };
}

/** Each card with the number of its row, from the top. */
function inRows(boxes: readonly Box[]): Map<string, Card> {
  const tops = [...new Set(boxes.map((box) => Math.round(box.top)))].sort((one, other) => one - other);
  return new Map(boxes.map((box) => [box.name, { ...box, row: tops.indexOf(Math.round(box.top)) }]));
}

/** Short arrows first: they get the lanes next to the cards, and long ones pass below them. */
function byReach(wires: readonly Wire[], cards: Map<string, Card>): Wire[] {
  const reach = (wire: Wire): number => {
    const [from, to] = [cards.get(wire.from) as Card, cards.get(wire.to) as Card];
    return Math.abs(from.left - to.left) + 10000 * Math.abs(from.row - to.row);
  };
  return [...wires].sort((one, other) => reach(one) - reach(other) || one.service.localeCompare(other.service));
}

/** Where arrows leave and reach their cards: those from the left on the left. */
function portsOf(wires: readonly Wire[], cards: Map<string, Card>): Map<string, number> {
  const ends = new Map<string, { key: string; towards: number }[]>();
  const add = (card: Card, key: string, other: Card): void => {
    const towards = card.row === other.row ? other.left : Number.POSITIVE_INFINITY;
    ends.set(card.name, [...(ends.get(card.name) ?? []), { key, towards }]);
  };
  for (const wire of wires) {
    const [from, to] = [cards.get(wire.from) as Card, cards.get(wire.to) as Card];
    add(from, `${wire.service} out`, to);
    add(to, `${wire.service} in`, from);
  }
  const ports = new Map<string, number>();
  for (const [name, list] of ends) {
    const card = cards.get(name) as Card;
    list.sort((one, other) => one.towards - other.towards || one.key.localeCompare(other.key));
    list.forEach((end, place) => ports.set(end.key, card.left + card.width * (0.15 + (0.7 * (place + 0.5)) / list.length)));
  }
  return ports;
}

/** Between cards of one row: down, along its lane, up. */
function under(card: Card, out: number, into: number, lanes: Lanes): Point[] {
  const bottom = card.top + card.height;
  const y = bottom + lanes.taken(card.row, out, into);
  return [{ x: out, y: bottom }, { x: out, y }, { x: into, y }, { x: into, y: bottom + 2 }];
}

/** Between rows: down, along to the side, past the rows, back, up. */
function around(from: Card, to: Card, out: number, into: number, beside: number, lanes: Lanes): Point[] {
  const [start, end] = [from.top + from.height, to.top + to.height];
  const y = start + lanes.taken(from.row, out, beside);
  const back = end + lanes.taken(to.row, into, beside);
  const there = [{ x: out, y: start }, { x: out, y }, { x: beside, y }];
  return [...there, { x: beside, y: back }, { x: into, y: back }, { x: into, y: end + 2 }];
}

/** What is taken below each row. */
class Lanes {
  private readonly rows = new Map<number, [number, number][][]>();

  /** The first lane that is free between these two, taken; how far below the row it is. */
  taken(row: number, one: number, other: number): number {
    const [from, to] = [Math.min(one, other) - APART, Math.max(one, other) + APART];
    const lanes = this.rows.get(row) ?? [];
    this.rows.set(row, lanes);
    let place = lanes.findIndex((lane) => lane.every(([left, right]) => to < left || from > right));
    if (place < 0) place = lanes.push([]) - 1;
    lanes[place]?.push([from, to]);
    return FIRST_LANE + place * LANE;
  }

  most(): number {
    return Math.max(0, ...[...this.rows.values()].map((lanes) => lanes.length));
  }
}

/** A path along these points with round corners. */
function rounded(points: readonly Point[]): string {
  const parts = [`M${at(points[0] as Point)}`];
  for (let place = 1; place < points.length - 1; place += 1) {
    const [before, corner, after] = points.slice(place - 1, place + 2) as [Point, Point, Point];
    parts.push(`L${at(towards(corner, before))}Q${at(corner)} ${at(towards(corner, after))}`);
  }
  return `${parts.join("")}L${at(points[points.length - 1] as Point)}`;
}

function towards(corner: Point, other: Point): Point {
  const far = Math.hypot(other.x - corner.x, other.y - corner.y);
  const share = far === 0 ? 0 : Math.min(ROUNDING, far / 2) / far;
  return { x: corner.x + (other.x - corner.x) * share, y: corner.y + (other.y - corner.y) * share };
}

function at(point: Point): string {
  return `${point.x.toFixed(1)} ${point.y.toFixed(1)}`;
}

/** The way of a service from one card to another: over a row's top, beside a column, or across. */
export function arc(from: Box, to: Box): { path: string; top: Point } {
  const above = { x: to.left + to.width / 2, y: to.top - 16 };
  if (Math.abs(from.left - to.left) < 8) {
    const [start, end] = [beside(from), beside(to)];
    const bow = start.x + 40;
    return { path: curve(start, { x: bow, y: start.y }, { x: bow, y: end.y }, end), top: above };
  }
  const [start, end] = [{ x: from.left + from.width / 2, y: from.top }, { x: to.left + to.width / 2, y: to.top }];
  const level = Math.abs(start.y - end.y) < 8;
  const lift = level ? Math.min(start.y, end.y) - 40 : (start.y + end.y) / 2;
  const path = curve(start, { x: start.x, y: lift }, { x: end.x, y: lift }, end);
  return { path, top: level ? { x: (start.x + end.x) / 2, y: start.y - 30 } : above };
}

function beside(box: Box): Point {
  return { x: box.left + box.width, y: box.top + box.height / 2 };
}

function curve(start: Point, one: Point, other: Point, end: Point): string {
  return `M${at(start)}C${at(one)} ${at(other)} ${at(end)}`;
}
