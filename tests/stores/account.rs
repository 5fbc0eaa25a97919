//! The account that moto keeps, as its administrator sees it, and users of it with what they may do.

use std::sync::Arc;
use std::time::Duration;

use lockstep::clients::aws::{Aws, AwsAuth, AwsSettings};
use serde_json::json;

use super::direct;
use super::stack::{Granted, Now, unique, variable};

pub struct Account {
    pub url: String,
    key: (String, String),
    pub iam: aws_sdk_iam::Client,
    pub secrets: aws_sdk_secretsmanager::Client,
}

impl Account {
    /// `None` with a note where the stack is not up.
    pub fn find() -> Option<Self> {
        let url = variable("AWS_ENDPOINT_URL")?;
        let region = variable("AWS_REGION")?;
        let key = (variable("AWS_ACCESS_KEY_ID")?, variable("AWS_SECRET_ACCESS_KEY")?);
        let config = direct::config(&url, &region, &key);
        Some(Self {
            iam: aws_sdk_iam::Client::new(&config),
            secrets: aws_sdk_secretsmanager::Client::new(&config),
            url,
            key,
        })
    }

    pub fn administrator(&self) -> AwsAuth {
        AwsAuth::AccessKey {
            id: self.key.0.clone(),
            secret: self.key.1.clone().into(),
        }
    }

    /// A user of one's own who may do nothing.
    pub async fn user(&self) -> String {
        let name = unique("user");
        self.iam.create_user().user_name(&name).send().await.unwrap();
        name
    }

    /// A user who may do these actions and no others, by an access key.
    pub async fn allowed(&self, actions: &[&str]) -> AwsAuth {
        let user = self.user().await;
        let policy = json!({"Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]});
        self.iam
            .put_user_policy()
            .user_name(&user)
            .policy_name("some")
            .policy_document(policy.to_string())
            .send()
            .await
            .unwrap();
        let made = self
            .iam
            .create_access_key()
            .user_name(&user)
            .send()
            .await
            .unwrap();
        let key = made.access_key().unwrap();
        AwsAuth::AccessKey {
            id: key.access_key_id().to_owned(),
            secret: key.secret_access_key().to_owned().into(),
        }
    }

    pub async fn aws(&self, auth: AwsAuth) -> Aws {
        aws(&self.url, auth).await
    }
}

pub async fn aws(url: &str, auth: AwsAuth) -> Aws {
    let settings = AwsSettings {
        region: "eu-central-1".into(),
        endpoint: Some(url.parse().unwrap()),
        auth,
        timeout: Duration::from_secs(20),
        concurrency: 8,
        allow_loopback: true,
        // Moto knows a key at once.
        propagation: Duration::ZERO,
    };
    Aws::new(settings, Arc::new(Granted), Arc::new(Now), None).await
}

macro_rules! account_or_skip {
    () => {
        match $crate::account::Account::find() {
            Some(account) => account,
            None => return,
        }
    };
}
pub(crate) use account_or_skip;
