/** What of the AWS SDK is used, so that a build leaves out the rest. Imported lazily: it is large. */
export {
  DeleteObjectCommand,
  GetBucketLifecycleConfigurationCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3'
export {getSignedUrl} from '@aws-sdk/s3-request-presigner'
