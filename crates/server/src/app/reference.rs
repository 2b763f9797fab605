//! References in variables, looked up when a deployment is made.

use std::collections::{BTreeMap, HashMap};

use tose_api::{EnvKey, ProjectId};
use tose_model::access::WorkspaceScope;
use tose_model::database::{self, Account, Database};
use tose_model::error::{Error, Result};
use tose_model::project::Project;
use tose_model::reference::{self, Reference, SELF};
use tose_model::secret::{ExposeSecret, SecretString};
use tose_store::ProjectFacts;

use crate::app::Platform;

/// The variables of a deployment, with whether each is secret.
pub(super) type Env = BTreeMap<EnvKey, (SecretString, bool)>;

/// The databases that variables refer to, with the revision of the password that they got.
pub(super) type Revisions = Vec<(ProjectId, u64)>;

/// What a name refers to.
enum Found {
    Database {
        database: Box<Database>,
        account: Account,
        host: String,
    },
    Project {
        project: Box<Project>,
        url: String,
    },
}

impl Platform {
    /// The variables with every reference replaced. A value that has a password in it is secret.
    pub(super) async fn resolve_references(
        &self,
        scope: &WorkspaceScope,
        own: &Project,
        env: Env,
    ) -> Result<(Env, Revisions)> {
        let values = env.values().map(|(value, _)| value.expose_secret());
        let names = reference::names(values);
        if names.is_empty() {
            return Ok((env, Revisions::new()));
        }
        let mut found = HashMap::new();
        for name in names {
            if let Some(one) = self.find_referred(scope, own, name).await? {
                found.insert(name.to_owned(), one);
            }
        }
        let mut resolved = Env::new();
        for (key, (value, is_secret)) in env {
            let mut has_password = false;
            let text = reference::resolve(value.expose_secret(), |reference| {
                has_password |= tells_password(&found, reference);
                look_up(&found, own, reference).map_err(|problem| {
                    let Reference { name, field } = reference;
                    Error::invalid_field(
                        key.as_str(),
                        format!("refers to {name}.{field}, and {problem}"),
                    )
                })
            })?;
            resolved.insert(key, (text.into(), is_secret || has_password));
        }
        let revisions = found.values().filter_map(|one| match one {
            Found::Database { database, .. } => {
                Some((database.project_id, database.credentials_revision))
            }
            Found::Project { .. } => None,
        });
        Ok((resolved, revisions.collect()))
    }

    async fn find_referred(
        &self,
        scope: &WorkspaceScope,
        own: &Project,
        name: &str,
    ) -> Result<Option<Found>> {
        let slug = match name {
            SELF => own.slug.as_str(),
            other => other,
        };
        let (project, facts) = match self.store.get_project(scope, slug).await {
            Ok(found) => found,
            Err(tose_store::Error::NotFound(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let Some(database) = self.store.find_database(scope, project.id).await? else {
            return Ok(Some(self.referred_project(project, facts)));
        };
        Ok(Some(Found::Database {
            account: self.open_account(&database)?,
            database: Box::new(database),
            host: project.slug.to_string(),
        }))
    }

    fn referred_project(&self, project: Project, facts: ProjectFacts) -> Found {
        Found::Project {
            url: self.project_url(&project, facts),
            project: Box::new(project),
        }
    }
}

fn tells_password(found: &HashMap<String, Found>, reference: Reference<'_>) -> bool {
    matches!(found.get(reference.name), Some(Found::Database { .. }))
        && matches!(reference.field, "URL" | "PASSWORD")
}

/// What a reference stands for, or what is wrong with it.
fn look_up(
    found: &HashMap<String, Found>,
    own: &Project,
    reference: Reference<'_>,
) -> std::result::Result<String, String> {
    match found.get(reference.name) {
        None => Err("the workspace has no database and no project with this slug".to_owned()),
        Some(Found::Database {
            database,
            account,
            host,
        }) => {
            let port = database::port(database.kind);
            Ok(match reference.field {
                "URL" => {
                    let url = database::url(database.kind, account, host, port);
                    url.expose_secret().to_owned()
                }
                "HOST" => host.clone(),
                "PORT" => port.to_string(),
                "USERNAME" => database.username.clone(),
                "PASSWORD" => account.password().expose_secret().to_owned(),
                "DATABASE" => database.database.clone(),
                _ => {
                    return Err(
                        "a database has URL, HOST, PORT, USERNAME, PASSWORD and DATABASE"
                            .to_owned(),
                    );
                }
            })
        }
        Some(Found::Project { project, url }) => {
            let port = project.run.port;
            Ok(match reference.field {
                "URL" => url.clone(),
                "DOMAIN" => project.hostname.to_string(),
                // Its own variables are for what it tells visitors.
                "HOST" if project.id == own.id => project.hostname.to_string(),
                "HOST" => project.slug.to_string(),
                "PORT" => port.to_string(),
                "PRIVATE_URL" => format!("http://{}:{port}", project.slug),
                _ => {
                    return Err("a project has URL, DOMAIN, HOST, PORT and PRIVATE_URL".to_owned());
                }
            })
        }
    }
}
