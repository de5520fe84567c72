// The page's pure parts, without a browser: what a delta makes of a state, older events, and where arrows run.  Bundled and run by test_page_pure.py.

import assert from "node:assert/strict";
import { folded } from "../../monitor/web/src/fold";
import { followed, NOTHING, oldest, told } from "../../monitor/web/src/past";
import { drawing, LANE, room } from "../../monitor/web/src/routes";

const from = (first, last) => Array.from({ length: last - first + 1 }, (_, place) => ({ id: String(first + place) }));
const shown = (past) => [...past.events, ...past.kept].map((event) => Number(event.id));
const numbers = (first, last) => from(first, last).map((event) => Number(event.id));

const checks = {
  "a row that did not change stays the same object": () => {
    const state = { version: 4, head: {}, servers: { a: { name: "a" }, b: { name: "b" } }, services: {}, passages: [], events: [] };
    const after = folded(state, { version: 5, servers: { a: { name: "a", state: "silent" } } });
    assert.equal(after.version, 5);
    assert.equal(after.servers.b, state.servers.b);
    assert.equal(after.services, state.services);
    assert.equal(after.servers.a.state, "silent");
    assert.equal(state.servers.a.state, undefined);
  },
  "a row that is null is gone": () => {
    const state = { version: 1, head: {}, servers: { a: {}, b: {} }, services: {}, passages: [], events: [] };
    assert.deepEqual(Object.keys(folded(state, { version: 2, servers: { a: null } }).servers), ["b"]);
  },
  "a gap is noticed, and what is known already changes nothing": () => {
    const state = { version: 7, head: {}, servers: {}, services: {}, passages: [], events: [] };
    assert.equal(folded(state, { version: 9 }), null);
    assert.equal(folded(state, { version: 7, servers: { a: {} } }), state);
  },
  "events are added once, and the oldest are forgotten": () => {
    const event = (id) => ({ id: String(id) });
    const state = { version: 1, head: {}, servers: {}, services: {}, passages: [], events: Array.from({ length: 300 }, (_, id) => event(id)) };
    const after = folded(state, { version: 2, events: [event(299), event(300), event(301)] });
    assert.equal(after.events.length, 300);
    assert.deepEqual([after.events[0].id, after.events.at(-1).id], ["2", "301"]);
  },
  "older events stay complete while news come in, also between the question and its answer": () => {
    let past = { ...followed(NOTHING, from(100, 109)), wanted: true };
    past = followed(past, from(103, 112));
    past = told(past, "100", from(90, 99), false);
    assert.deepEqual(shown(past), numbers(90, 112));
    past = followed(past, from(112, 121));
    assert.deepEqual(shown(past), numbers(90, 121));
    assert.equal(oldest(past).id, "90");
    past = told(past, "90", from(85, 89), true);
    assert.deepEqual([shown(past), past.over], [numbers(85, 121), true]);
  },
  "a question that was asked twice is answered once": () => {
    let past = { ...followed(NOTHING, from(100, 109)), wanted: true };
    for (const _ of [1, 2]) past = told(past, "100", from(90, 99), false);
    assert.deepEqual(shown(past), numbers(90, 109));
  },
  "nothing is held for somebody who never asked": () => {
    assert.deepEqual(followed(followed(NOTHING, from(1, 10)), from(5, 14)).events, []);
  },
  "older events that no longer join on are dropped, and can be asked for again": () => {
    let past = told({ ...followed(NOTHING, from(100, 109)), wanted: true }, "100", from(90, 99), true);
    past = followed(past, from(200, 209));
    assert.deepEqual([shown(past), past.over], [numbers(200, 209), false]);
    past = told(past, "90", from(80, 89), true);
    assert.deepEqual([shown(past), past.over], [numbers(200, 209), false]);
  },
  "no more is held than the monitor keeps, and what was dropped can be asked for again": () => {
    let past = told({ ...followed(NOTHING, from(5_001, 5_010)), wanted: true }, "5001", from(1, 5_000), true);
    past = followed(past, from(5_004, 5_013));
    assert.deepEqual([shown(past), past.over], [numbers(4, 5_013), false]);
  },
  "no two arrows share a lane where they would touch, and none leaves the picture": () => {
    for (const columns of [1, 3, 5]) {
      const laid = (lanes) =>
        Array.from({ length: 12 }, (_, place) => ({
          name: `s${place}`,
          left: (place % columns) * 250,
          top: Math.floor(place / columns) * (180 + room(lanes)),
          width: 220,
          height: 180,
        }));
      const width = columns * 250 + 200;
      const wires = laid(0).map((box, place) => ({ service: `v${place}`, from: box.name, to: `s${(place * 5 + 3) % 12}` }));
      // As the page does it: the room below the rows follows from the lanes, and moves nothing but the rows.
      const boxes = laid(drawing(laid(0), wires, width).lanes);
      const drawn = drawing(boxes, wires, width);
      assert.equal(drawn.routes.length, wires.filter((wire) => wire.from !== wire.to).length);
      const pieces = [];
      for (const { path } of drawn.routes) {
        const points = [...path.matchAll(/(-?[\d.]+) (-?[\d.]+)/g)].map((found) => [Number(found[1]), Number(found[2])]);
        for (const [x, y] of points) {
          assert.ok(x >= 0 && x <= width && y >= 180, `${path} leaves the picture`);
          const inside = boxes.find((box) => x > box.left && x < box.left + box.width && y > box.top && y < box.top + box.height - 1);
          assert.equal(inside, undefined, `${path} crosses ${inside?.name}`);
        }
        points.slice(1).forEach((point, place) => {
          for (const along of [0, 1]) {
            const [across, before] = [1 - along, points[place]];
            if (Math.abs(before[across] - point[across]) > 0.05 || Math.abs(before[along] - point[along]) < 1) continue;
            pieces.push({ along, at: point[across], from: Math.min(before[along], point[along]), to: Math.max(before[along], point[along]), path });
          }
        });
      }
      for (const one of pieces) {
        const touches = (other) => Math.abs(other.at - one.at) < 4 && other.from <= one.to && other.to >= one.from;
        const other = pieces.find((other) => other.path !== one.path && other.along === one.along && touches(other));
        assert.equal(other, undefined, `${one.path} and ${other?.path} run over each other`);
      }
      assert.ok(room(drawn.lanes) >= LANE * drawn.lanes);
    }
  },
  "an arrow to a server that is not shown is left out": () => {
    const boxes = [{ name: "a", left: 0, top: 0, width: 100, height: 50 }];
    assert.equal(drawing(boxes, [{ service: "www", from: "a", to: "b" }], 200).routes.length, 0);
  },
};

for (const [name, check] of Object.entries(checks)) {
  check();
  console.log(`ok: ${name}`);
}
