// What is asked of the monitor over HTTP; every failure is one line for people.

import type { DemoWish, EventShown, Outcome, Preview, Sequence, Session, Wish } from "./state";

/** The monitor did not do it, and why. */
export class Refusal extends Error {}

async function answer<Answer>(path: string, options: RequestInit): Promise<Answer> {
  let response: Response;
  try {
    response = await fetch(path, { credentials: "same-origin", cache: "no-store", ...options });
  } catch {
    throw new Refusal("The monitor does not answer.");
  }
  let said: unknown = null;
  try {
    said = await response.json();
  } catch {
    // Said below: an answer that is no JSON is none of the monitor's own.
  }
  if (response.ok && said !== null) return said as Answer;
  const line = (said as { error?: unknown } | null)?.error;
  throw new Refusal(typeof line === "string" ? line : `The monitor answered ${response.status}.`);
}

function post<Answer>(path: string, csrf: string, body: object): Promise<Answer> {
  const headers = { "Content-Type": "application/json", "X-CSRF-Token": csrf };
  return answer<Answer>(path, { method: "POST", headers, body: JSON.stringify(body) });
}

export const session = (): Promise<Session> => answer<Session>("/api/session", {});
export const sequence = (event: string): Promise<Sequence> => answer<Sequence>(`/api/sequence/${encodeURIComponent(event)}`, {});
export const preview = (csrf: string, wish: Wish): Promise<Preview> => post<Preview>("/api/preview", csrf, wish);
export const act = (csrf: string, wish: Wish): Promise<Outcome> => post<Outcome>("/api/act", csrf, wish);
export const demo = (csrf: string, wish: DemoWish): Promise<Outcome> => post<Outcome>("/api/demo", csrf, wish);

/** A page of the history, the oldest first, and the event before which to go on; null at the end of what the monitor keeps. */
export interface HistoryPage {
  readonly events: readonly EventShown[];
  readonly before: string | null;
}

interface Printed extends Omit<EventShown, "at" | "sequence"> {
  /** RFC 3339 */
  readonly at: string;
}

/** The events before this one, as `locum history` tells them. */
export async function history(before: string): Promise<HistoryPage> {
  const path = `/api/history?limit=100&before=${encodeURIComponent(before)}`;
  const page = await answer<{ events: readonly Printed[]; before: string | null }>(path, {});
  const events = page.events.map((event) => ({ ...event, at: Date.parse(event.at) / 1000, text: event.text || event.kind, sequence: false }));
  return { events, before: page.before };
}

/** Raises Refusal if the password is wrong. */
export async function login(csrf: string, password: string): Promise<Session> {
  await post<unknown>("/login", csrf, { password });
  return session();
}

export async function logout(csrf: string): Promise<Session> {
  await post<unknown>("/logout", csrf, {});
  return session();
}

/** What went wrong, as a line. */
export function line(failure: unknown): string {
  return failure instanceof Error ? failure.message : String(failure);
}
