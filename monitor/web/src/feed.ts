// The one place that knows Socket.IO: the state as it arrives, and whether it still does.

import { io } from "socket.io-client";
import { folded } from "./fold";
import type { Delta, Snapshot } from "./state";

export type Link = "connecting" | "live" | "lost";

/** What the page draws: the last state, and how the page is connected to the monitor. */
export interface View {
  readonly link: Link;
  /** Seconds, this browser's clock: since when there is no connection. */
  readonly lost_at: number | null;
  readonly state: Snapshot | null;
  /** The monitor's clock less this browser's, in seconds. */
  readonly offset_s: number;
}

export const NOTHING: View = { link: "connecting", lost_at: null, state: null, offset_s: 0 };

/** How long to wait for the first snapshot of a connection before asking for it. */
const PATIENCE_MS = 3000;

/** This browser's clock in seconds. */
export function here(): number {
  return Date.now() / 1000;
}

/** Follow the monitor for as long as the page is open; connects again by itself, for ever. */
export function follow(told: (view: View) => void): void {
  let view = NOTHING;
  let complete = false;
  let asking: number | undefined;
  const socket = io({ transports: ["websocket", "polling"], reconnectionDelay: 500, reconnectionDelayMax: 4000 });

  function tell(changed: Partial<View>): void {
    view = { ...view, ...changed };
    told(view);
  }
  function take(state: Snapshot): void {
    const offset_s = state.head === view.state?.head ? view.offset_s : state.head.served_at - here();
    tell({ link: "live", lost_at: null, state, offset_s });
  }
  function again(): void {
    complete = false;
    socket.emit("again");
    window.clearTimeout(asking);
    asking = window.setTimeout(again, PATIENCE_MS);
  }
  function lose(): void {
    window.clearTimeout(asking);
    if (view.link !== "lost") tell({ link: "lost", lost_at: here() });
  }

  socket.on("connect", () => {
    complete = false;
    window.clearTimeout(asking);
    asking = window.setTimeout(again, PATIENCE_MS);
  });
  socket.on("snapshot", (state: Snapshot) => {
    window.clearTimeout(asking);
    complete = true;
    take(state);
  });
  socket.on("delta", (delta: Delta) => {
    if (!complete || view.state === null) return;
    const state = folded(view.state, delta);
    if (state === null) again();
    else take(state);
  });
  socket.on("connect_error", lose);
  socket.on("disconnect", (reason) => {
    lose();
    // The library comes back from every loss by itself but this one: the monitor hung up on us.
    if (reason === "io server disconnect") window.setTimeout(() => socket.connect(), 1000);
  });
}
