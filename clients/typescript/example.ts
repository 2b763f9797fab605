// How the types are used; `npm run check` compiles this, so that a type that changed shows.

import type { components, paths } from "./tose-api";

type Project = components["schemas"]["ProjectView"];
type NewProject = components["schemas"]["CreateProject"];
type Listed =
  paths["/api/workspaces/{slug}/projects"]["get"]["responses"][200]["content"]["application/json"];
type Failure = components["schemas"]["Failure"];

/** Calls the API with a key; throws what the server says when it refuses. */
async function call<T>(url: string, key: string, method = "GET", body?: unknown): Promise<T> {
  const answer = await fetch(url, {
    method,
    headers: { "X-API-Key": key, "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const envelope = (await answer.json()) as { success: true; data: T } | (Failure & { success: false });
  if (!envelope.success) throw new Error(`${envelope.code}: ${envelope.error}`);
  return envelope.data;
}

/** Makes a project and lists what runs. */
export async function example(server: string, key: string): Promise<string[]> {
  const wanted: NewProject = { name: "Shop", image: "nginx:1.27", port: 80, ram: "0.5" };
  const made = await call<Project>(`${server}/api/workspaces/demo/projects`, key, "POST", wanted);
  const listed = await call<Listed["data"]>(`${server}/api/workspaces/demo/projects`, key);
  return [made, ...listed].filter((project) => project.status === "running").map((project) => project.url);
}
